package compile

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"github.com/edgehold/edgehold/host/internal/guest"
	"github.com/edgehold/edgehold/wasmabi"
)

// Artefact is a module made ready to run: its frozen form and the state that its instances start in.
type Artefact struct {
	Module  []byte         `cbor:"1,keyasint"` // instrumented and frozen
	Window  wasmabi.Window `cbor:"2,keyasint"`
	Globals []guest.Global `cbor:"3,keyasint"`
	Memory  uint64         `cbor:"4,keyasint"` // bytes, whole pages
	Runs    []Run          `cbor:"5,keyasint"` // what of the memory is not zero
}

// Run is a piece of memory.
type Run struct {
	Offset uint64 `cbor:"1,keyasint"`
	Bytes  []byte `cbor:"2,keyasint"`
}

// granule is the size of the pieces in which memory is looked at for zeroes.
const granule = 4096

// runs returns the pieces of memory that are not zero. They alias it.
func runs(memory []byte) []Run {
	var zero [granule]byte
	var list []Run
	start := -1
	for offset := 0; offset <= len(memory); offset += granule {
		empty := offset == len(memory) || bytes.Equal(memory[offset:min(offset+granule, len(memory))], zero[:])
		switch {
		case !empty && start < 0:
			start = offset
		case empty && start >= 0:
			list = append(list, Run{uint64(start), memory[start:offset]})
			start = -1
		}
	}
	return list
}

// Content returns the whole memory.
func (a *Artefact) Content() []byte {
	memory := make([]byte, a.Memory)
	for _, r := range a.Runs {
		copy(memory[r.Offset:], r.Bytes)
	}
	return memory
}

// Image returns the digest of the state that instances start in: memory and globals.
func (a *Artefact) Image() [sha256.Size]byte {
	h := sha256.New()
	if err := canonical.NewEncoder(h).Encode([]any{a.Memory, a.Runs, a.Globals}); err != nil {
		panic(fmt.Sprintf("hash an image: %v", err)) // a hash does not fail, and these types have an encoding
	}
	return [sha256.Size]byte(h.Sum(nil))
}

var (
	canonical, _ = cbor.CoreDetEncOptions().EncMode()
	strict, _    = cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		MaxArrayElements:  1 << 20,
	}.DecMode()
)

// Encode returns the artefact behind a checksum, as it is kept on disk.
func (a *Artefact) Encode() ([]byte, error) {
	body, err := canonical.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("encode artefact: %w", err)
	}
	sum := sha256.Sum256(body)
	return append(sum[:], body...), nil
}

// ErrDamaged is returned for bytes that Encode did not write, or not in full.
var ErrDamaged = errors.New("artefact is damaged")

// maxMemory is the largest memory a module with 32-bit addresses can have.
const maxMemory = 1 << 32

// Decode reads what Encode wrote.
func Decode(b []byte) (*Artefact, error) {
	if len(b) < sha256.Size || sha256.Sum256(b[sha256.Size:]) != [sha256.Size]byte(b) {
		return nil, ErrDamaged
	}
	var a Artefact
	if err := strict.Unmarshal(b[sha256.Size:], &a); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if a.Memory > maxMemory {
		return nil, fmt.Errorf("%w: a memory of %d bytes", ErrDamaged, a.Memory)
	}
	for _, r := range a.Runs {
		if r.Offset > a.Memory || uint64(len(r.Bytes)) > a.Memory-r.Offset {
			return nil, fmt.Errorf("%w: %d bytes at %d are outside a memory of %d", ErrDamaged, len(r.Bytes), r.Offset, a.Memory)
		}
	}
	return &a, nil
}
