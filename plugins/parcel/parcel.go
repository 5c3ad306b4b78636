package parcel

import (
	"crypto/ed25519"
	"crypto/sha256"
	"slices"
)

// Bounds of a parcel, in bytes.
const (
	MaxModule = 4 << 20
	// MaxHead is how many bytes of a parcel hold everything before the module.
	MaxHead = 2 << 10

	maxText       = 256
	maxSignatures = 4
	keyIDBytes    = 8
)

// KindFirmware is the kind of a statement about a device's own firmware, whose module is an image.
const KindFirmware = "firmware"

// Domain is what is signed before the statement, so that a signature means nothing elsewhere.
const Domain = "edgehold.parcel.v1\x00"

// Statement is what an operator says of a module.
type Statement struct {
	Name, Version, Kind string            // as in the module's manifest
	Digest              [sha256.Size]byte // of the module
	Length              uint64            // of the module, in bytes
	Counter             uint64            // goes up with each statement of an operator
	Devices             string            // a pattern of endpoint names: "*", "sensor-*"
}

// KeyID names a public key.
type KeyID [keyIDBytes]byte

// IDOf names a key.
func IDOf(k ed25519.PublicKey) (id KeyID) {
	sum := sha256.Sum256(k)
	copy(id[:], sum[:])
	return id
}

// Signature is one key's word for a statement.
type Signature struct {
	Key   KeyID
	Value [ed25519.SignatureSize]byte
}

// Head is everything of a parcel before its module.
type Head struct {
	Statement  Statement
	Signatures []Signature
	signed     []byte // the statement's bytes
}

// Seal states s under each key, at most four.
func Seal(s Statement, keys ...ed25519.PrivateKey) ([]byte, error) {
	signed := appendStatement(nil, &s)
	if len(keys) == 0 || len(keys) > maxSignatures || !s.plausible() {
		return nil, &Error{Code: CodeMalformed, What: "seal " + s.Name, Why: "it has no key, too many, or a field that can't be so", Hint: "give one to four keys, names of at most 256 bytes and a module of at most 4 MiB"}
	}
	b := appendBytes(append([]byte{majorArray | 3}, version), signed)
	b = appendHead(b, majorArray, uint64(len(keys)))
	for _, k := range keys {
		id := IDOf(k.Public().(ed25519.PublicKey))
		b = appendBytes(append(b, majorArray|2), id[:])
		b = appendBytes(b, ed25519.Sign(k, append([]byte(Domain), signed...)))
	}
	return b, nil
}

// Pack puts a module behind its seal. It checks that they belong together, and no signature.
func Pack(seal, module []byte) ([]byte, error) {
	h, err := ParseSeal(seal)
	if err != nil {
		return nil, err
	}
	if err := h.Statement.matches(module); err != nil {
		return nil, err
	}
	b := append([]byte{majorArray | 4}, seal[1:]...)
	return appendBytes(slices.Grow(b, len(module)+9), module), nil
}

// ParseSeal reads what Seal made.
func ParseSeal(seal []byte) (*Head, error) {
	r := reader{b: seal}
	h := r.head(3)
	if r.short || r.failed || r.at != len(seal) {
		return nil, malformed("read the seal", "it is no seal of a module")
	}
	return h, nil
}

// ParseHead reads the beginning of a parcel and returns where its module begins. more says that b is too short to tell; MaxHead
// bytes never are. It checks the form, and no signature.
func ParseHead(b []byte) (h *Head, module int, more bool, err error) {
	r := reader{b: b}
	h = r.head(4)
	length := r.expect(majorBytes)
	switch {
	case r.short && len(b) < MaxHead:
		return nil, 0, true, nil
	case r.failed || r.short:
		return nil, 0, false, malformed("read the parcel", "its head is no head of a parcel")
	case length != h.Statement.Length:
		return nil, 0, false, malformed("read the parcel", "its module is not as long as the statement says")
	}
	return h, r.at, false, nil
}

// Parse reads a whole parcel and checks the module's length and digest, and no signature. The module aliases b.
func Parse(b []byte) (h *Head, module []byte, err error) {
	h, at, more, err := ParseHead(b)
	switch {
	case err != nil:
		return nil, nil, err
	case more:
		return nil, nil, malformed("read the parcel", "it ends too early")
	}
	return h, b[at:], h.Statement.matches(b[at:])
}

// matches refuses a module that the statement is not about.
func (s *Statement) matches(module []byte) error {
	if uint64(len(module)) != s.Length || sha256.Sum256(module) != s.Digest {
		return &Error{Code: CodeDigest, What: "check module " + s.Name, Why: "length or SHA-256 differ from what was signed", Hint: "send it again"}
	}
	return nil
}

func (s *Statement) plausible() bool {
	for _, text := range []string{s.Name, s.Version, s.Kind, s.Devices} {
		if text == "" || len(text) > maxText {
			return false
		}
	}
	return s.Length > 0 && s.Length <= MaxModule
}
