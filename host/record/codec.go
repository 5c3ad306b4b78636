package record

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/edgehold/edgehold/wasmabi"
)

// Bounds of an encoded episode.
const (
	MaxBytes     = 16 << 20
	MaxCalls     = 1 << 10 // of an episode, and host calls of a call
	maxNesting   = 8
	maxDigest    = sha256.Size
	digestPrefix = "sha256:"
)

// version of the encoding, its first element.
const version = 1

// The encoding: arrays, so that names are not repeated in each of thousands of records; digests as bytes.
type (
	wireEpisode struct {
		_         struct{} `cbor:",toarray"`
		Version   uint64
		Module    []byte
		Image     []byte
		Time      int64 // nanoseconds since the Unix epoch
		Seed      uint64
		Handles   uint32
		Truncated bool
		Calls     []wireCall
	}
	wireCall struct {
		_         struct{} `cbor:",toarray"`
		Op        uint32
		Request   []byte
		Response  []byte
		Status    uint32
		Fuel      uint64
		HostCalls []wireHostCall
		Error     string
		Message   string
	}
	wireHostCall struct {
		_        struct{} `cbor:",toarray"`
		Handle   uint32
		Op       uint32
		Request  []byte
		Response []byte
		Status   uint32
	}
)

var (
	encoding, _ = cbor.EncOptions{Sort: cbor.SortCoreDeterministic, ShortestFloat: cbor.ShortestFloat16,
		NilContainers: cbor.NilContainerAsEmpty}.EncMode()
	decoding, _ = cbor.DecOptions{
		IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden, MaxArrayElements: MaxCalls,
		MaxNestedLevels: maxNesting, UTF8: cbor.UTF8RejectInvalid,
	}.DecMode()
)

// Encode returns the episode as CBOR.
func (e *Episode) Encode() ([]byte, error) {
	w, err := e.wire()
	if err != nil {
		return nil, fmt.Errorf("encode episode: %w", err)
	}
	b, err := encoding.Marshal(w)
	if err != nil {
		return nil, fmt.Errorf("encode episode: %w", err)
	}
	if len(b) > MaxBytes {
		return nil, fmt.Errorf("encode episode: %d bytes, more than %d", len(b), MaxBytes)
	}
	return b, nil
}

// Decode reads what Encode wrote. The episode does not alias b.
func Decode(b []byte) (*Episode, error) {
	if len(b) > MaxBytes {
		return nil, malformed(fmt.Errorf("%d bytes, more than %d", len(b), MaxBytes))
	}
	var w wireEpisode
	if err := decoding.Unmarshal(b, &w); err != nil {
		return nil, malformed(err)
	}
	e, err := w.episode()
	if err != nil {
		return nil, malformed(err)
	}
	return e, nil
}

func (e *Episode) wire() (*wireEpisode, error) {
	module, err := digestBytes(e.Module)
	if err != nil {
		return nil, err
	}
	image, err := digestBytes(e.Image)
	if err != nil {
		return nil, err
	}
	w := &wireEpisode{Version: version, Module: module, Image: image, Time: e.Time.UnixNano(), Seed: e.Seed,
		Handles: uint32(e.Handles), Truncated: e.Truncated}
	for _, c := range e.Calls {
		w.Calls = append(w.Calls, c.wire())
	}
	return w, nil
}

func (c Call) wire() wireCall {
	w := wireCall{Op: uint32(c.Op), Request: c.Request, Response: c.Response, Status: uint32(c.Status), Fuel: c.Fuel,
		Error: c.Error, Message: c.Message}
	for _, h := range c.HostCalls {
		w.HostCalls = append(w.HostCalls, wireHostCall{Handle: h.Handle, Op: h.Op, Request: h.Request, Response: h.Response,
			Status: uint32(h.Status)})
	}
	return w
}

func (w *wireEpisode) episode() (*Episode, error) {
	if w.Version != version {
		return nil, fmt.Errorf("version %d; this program reads version %d", w.Version, version)
	}
	if len(w.Module) != maxDigest || len(w.Image) != maxDigest {
		return nil, fmt.Errorf("digests of %d and %d bytes", len(w.Module), len(w.Image))
	}
	e := &Episode{Module: digestText(w.Module), Image: digestText(w.Image), Time: time.Unix(0, w.Time).UTC(), Seed: w.Seed,
		Handles: int(w.Handles), Truncated: w.Truncated}
	for _, c := range w.Calls {
		e.Calls = append(e.Calls, c.call())
	}
	return e, nil
}

func (w wireCall) call() Call {
	c := Call{Op: wasmabi.Op(w.Op), Request: w.Request, Response: w.Response, Status: wasmabi.Status(w.Status), Fuel: w.Fuel,
		Error: w.Error, Message: w.Message}
	for _, h := range w.HostCalls {
		c.HostCalls = append(c.HostCalls, HostCall{h.Handle, h.Op, h.Request, h.Response, wasmabi.Status(h.Status)})
	}
	return c
}

func digestText(b []byte) string { return digestPrefix + hex.EncodeToString(b) }

func digestBytes(s string) ([]byte, error) {
	b, err := hex.DecodeString(strings.TrimPrefix(s, digestPrefix))
	if err != nil || len(b) != maxDigest {
		return nil, fmt.Errorf("%q is not a digest", s)
	}
	return b, nil
}

// Error says why an episode can't be read, replayed or compared.
type Error struct {
	Attempt string // "decode episode"
	Code    string // "record.malformed", "record.truncated", "record.other-module", "record.other-inputs"
	Why     string
	Hint    string
	Err     error
}

// Error says what was attempted, and the cause.
func (e *Error) Error() string { return e.Attempt + ": " + e.Why }

// ErrorCode is stable.
func (e *Error) ErrorCode() string { return e.Code }

// ErrorWhy is the cause.
func (e *Error) ErrorWhy() string { return e.Why }

// ErrorHint says what to do.
func (e *Error) ErrorHint() string { return e.Hint }

// Unwrap returns the cause, if it has a type of its own.
func (e *Error) Unwrap() error { return e.Err }

// ErrMalformed is in the chain of every error of Decode.
var ErrMalformed = errors.New("malformed episode")

func malformed(err error) error {
	return &Error{Attempt: "decode episode", Code: "record.malformed", Why: err.Error(),
		Hint: "the record is damaged or from a newer version", Err: errors.Join(ErrMalformed, err)}
}
