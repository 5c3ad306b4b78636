package parcel

import (
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
)

// Trust is whom a device believes, and what it takes.
type Trust struct {
	Keys     []ed25519.PublicKey // each of them suffices
	Device   string              // its endpoint name; empty for a gateway, which serves them all
	Kinds    []string            // that run here; none: all
	MaxBytes uint64              // of a module; 0 is MaxModule
	// Counter returns the highest counter that was accepted of a name; nil: any will do.
	Counter func(name string) uint64
}

// Check judges a head, and so the parcel as far as its module keeps the digest.
func (t *Trust) Check(h *Head) error {
	s := &h.Statement
	what := "take " + s.Name + " " + s.Version
	switch {
	case !t.signed(h):
		return &Error{Code: CodeUnsigned, What: what, Why: "no trusted key has signed it, or it was altered", Hint: "sign it with `edgehold trust add`, and give the device the public key of that folder's targets"}
	case t.Device != "" && !matches(s.Devices, t.Device):
		return &Error{Code: CodeDevice, What: what, Why: fmt.Sprintf("it is for devices %q, and this is %q", s.Devices, t.Device), Hint: "sign it with `edgehold trust add --devices PATTERN`"}
	case len(t.Kinds) > 0 && !slices.Contains(t.Kinds, s.Kind):
		return &Error{Code: CodeKind, What: what, Why: "it is of kind " + s.Kind, Hint: "push a workload"}
	case t.MaxBytes != 0 && s.Length > t.MaxBytes:
		return &Error{Code: CodeTooLarge, What: what, Why: fmt.Sprintf("its module has %d bytes, %d are taken", s.Length, t.MaxBytes), Hint: "build it with TinyGo, or leave out what it does not need"}
	case t.Counter != nil && s.Counter < t.Counter(s.Name):
		return &Error{Code: CodeOlder, What: what, Why: fmt.Sprintf("its counter is %d, and %d was accepted before", s.Counter, t.Counter(s.Name)), Hint: "raise its version and sign it anew: what was replaced does not come back"}
	}
	return nil
}

func (t *Trust) signed(h *Head) bool {
	message := append([]byte(Domain), h.signed...)
	for _, s := range h.Signatures {
		for _, k := range t.Keys {
			if IDOf(k) == s.Key && ed25519.Verify(k, message, s.Value[:]) {
				return true
			}
		}
	}
	return false
}

func matches(pattern, endpoint string) bool {
	ok, err := path.Match(pattern, endpoint)
	return ok && err == nil
}

// maxKeyFile bounds a key's file, in bytes.
const maxKeyFile = 4 << 10

// ParseKey reads a public key as `edgehold trust` keeps it, a NAME.pub.
func ParseKey(raw []byte) (ed25519.PublicKey, error) {
	var f struct {
		Public string `json:"ed25519_public"`
	}
	if len(raw) > maxKeyFile {
		return nil, errors.New("it is too long for a key")
	}
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, err
	}
	key, err := hex.DecodeString(f.Public)
	if err != nil || len(key) != ed25519.PublicKeySize {
		return nil, errors.New("it holds no Ed25519 public key")
	}
	return key, nil
}
