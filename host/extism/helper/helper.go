// Package helper speaks to the program edgehold-plugin, which runs one Extism plugin in a process of its own: through our door,
// or through the Extism project's SDK where a plugin needs what our door does not have. It runs no plugin itself and links no
// engine.
//
// The two exchange JSON documents, one after another: an [Order] and an [Answer] that says what became of it, then for each
// [Call] an Answer.
package helper

import (
	"encoding/json"
	"errors"
	"io"
)

// Program is the helper's file name.
const Program = "edgehold-plugin"

// Engines that can run a plugin.
const (
	EngineEdgehold = "edgehold" // our door
	EngineSDK      = "go-sdk"   // the Extism project's SDK for Go
)

// Codes of failures that are the helper's, and not the plugin's.
const (
	CodeDied     = "extism.helper-died"
	CodeDeadline = "extism.helper-deadline" // it was ended because time was up
	CodeOutput   = "extism.output"          // more than the order permits
)

// Order says what to run.
type Order struct {
	Engine   string          `json:"engine"`
	Name     string          `json:"name"`
	Module   []byte          `json:"module"`
	Manifest json.RawMessage `json:"manifest"`  // of package extism
	LogLevel string          `json:"log_level"` // trace, debug, info, warn or error
	CacheDir string          `json:"cache_dir,omitempty"`
	// Limits of a call; the SDK knows only time and memory. Zero is the helper's default.
	Fuel        uint64 `json:"fuel,omitempty"`
	MemoryBytes uint64 `json:"memory_bytes,omitempty"`
	DeadlineMS  uint32 `json:"deadline_ms,omitempty"`
	OutputBytes uint64 `json:"output_bytes,omitempty"` // of a call; zero is no limit but the message's
	LogBytes    uint64 `json:"log_bytes,omitempty"`    // of a call; what is beyond is dropped; zero is no limit
	// Grant is what an adapter was granted, a document of package host/extism/fallback. With one, the manifest grants nothing, and the
	// helper gives up what it does not need.
	Grant json.RawMessage `json:"grant,omitempty"`
	// Ask names exports; the answer says which are there. The SDK tells no others.
	Ask []string `json:"ask,omitempty"`
}

// Call asks for a call of an export.
type Call struct {
	Export string `json:"export"`
	Input  []byte `json:"input"`
	Fresh  bool   `json:"fresh,omitempty"` // on an instance that nothing was called on; only the SDK's engine looks at it
}

// Answer says what became of an order or a call.
type Answer struct {
	Exports  []string `json:"exports,omitempty"` // after an order
	Warnings []string `json:"warnings,omitempty"`
	Output   []byte   `json:"output,omitempty"`
	Returned uint32   `json:"returned"`
	Fuel     uint64   `json:"fuel,omitempty"` // 0 where the engine does not count
	Log      []Line   `json:"log,omitempty"`
	Error    *Failure `json:"error,omitempty"`
}

// Line is what a plugin logged.
type Line struct {
	Level string `json:"level"`
	Text  string `json:"text"`
}

// Failure is an error that has come through the pipe.
type Failure struct {
	Message string `json:"message"`
	Code    string `json:"code,omitempty"`
	Why     string `json:"why,omitempty"`
	Hint    string `json:"hint,omitempty"`
}

// Error says what failed.
func (f *Failure) Error() string { return f.Message }

// ErrorCode is stable.
func (f *Failure) ErrorCode() string { return f.Code }

// ErrorWhy is the cause.
func (f *Failure) ErrorWhy() string { return f.Why }

// ErrorHint says what to do.
func (f *Failure) ErrorHint() string { return f.Hint }

// NewFailure keeps of an error what people see.
func NewFailure(err error) *Failure {
	if err == nil {
		return nil
	}
	f := &Failure{Message: err.Error()}
	if e, ok := errors.AsType[interface {
		error
		ErrorCode() string
	}](err); ok {
		f.Code = e.ErrorCode()
	}
	if e, ok := errors.AsType[interface {
		error
		ErrorWhy() string
	}](err); ok {
		f.Why = e.ErrorWhy()
	}
	if e, ok := errors.AsType[interface {
		error
		ErrorHint() string
	}](err); ok {
		f.Hint = e.ErrorHint()
	}
	return f
}

// maxMessage bounds one document, in bytes.
const maxMessage = 96 << 20

// reader reads documents. None is longer than the bound.
type reader struct {
	source  io.LimitedReader
	decoder *json.Decoder
	most    int64
}

func newReader(r io.Reader) *reader {
	b := &reader{source: io.LimitedReader{R: r}, most: maxMessage}
	b.decoder = json.NewDecoder(&b.source)
	return b
}

func (r *reader) read(v any) error {
	r.source.N = r.most
	return r.decoder.Decode(v)
}
