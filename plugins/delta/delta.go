package delta

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/bits"

	"github.com/klauspost/compress/zstd"
)

// MaxBytes bounds base and result, each.
const MaxBytes = 16 << 20

// ErrDamaged is what Apply ends with when a delta can't be read, or gives something else than was announced.
var ErrDamaged = errors.New("delta is damaged, or made for another base")

// rawID is the id under which a raw dictionary is known to both sides; zero is what --patch-from uses.
const rawID = 0

// Encode returns the delta that makes target of base, as small as can be: it takes some 90 MB for a module of 2 MB.
func Encode(base, target []byte) ([]byte, error) {
	return encode(base, target, zstd.SpeedBestCompression)
}

// EncodeLean is [Encode] for small machines: a third of the memory and a larger delta.
func EncodeLean(base, target []byte) ([]byte, error) {
	return encode(base, target, zstd.SpeedBetterCompression)
}

func encode(base, target []byte, level zstd.EncoderLevel) ([]byte, error) {
	if len(base) > MaxBytes || len(target) > MaxBytes {
		return nil, fmt.Errorf("encode delta: %d and %d bytes are too many", len(base), len(target))
	}
	e, err := zstd.NewWriter(nil, zstd.WithEncoderDictRaw(rawID, base), zstd.WithEncoderLevel(level),
		zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(window(len(base)+len(target))), zstd.WithSingleSegment(false))
	if err != nil {
		return nil, fmt.Errorf("encode delta: %w", err)
	}
	out := e.EncodeAll(target, nil)
	return out, e.Close()
}

// window is a power of two that covers the base from the end of the target, as zstd allows it.
func window(bytes int) int {
	return min(max(1<<bits.Len(uint(bytes)), zstd.MinWindowSize), zstd.MaxWindowSize)
}

// Apply makes of base what a delta says. The result has exactly the announced length, which bounds the memory that this
// takes; a delta that gives more or less is refused.
func Apply(base, delta []byte, bytesWanted int64) ([]byte, error) {
	if len(base) > MaxBytes || bytesWanted < 0 || bytesWanted > MaxBytes {
		return nil, fmt.Errorf("apply delta: a base of %d and a result of %d bytes are too much", len(base), bytesWanted)
	}
	d, err := zstd.NewReader(bytes.NewReader(delta), zstd.WithDecoderDictRaw(rawID, base), zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(4*MaxBytes), zstd.WithDecoderMaxMemory(4*MaxBytes))
	if err != nil {
		return nil, fmt.Errorf("apply delta: %w", err)
	}
	defer d.Close()
	out := make([]byte, bytesWanted)
	if _, err := io.ReadFull(d, out); err != nil {
		return nil, fmt.Errorf("apply delta: %w: %v", ErrDamaged, err)
	}
	if n, err := d.Read(make([]byte, 1)); n > 0 || !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("apply delta: %w: it goes on after %d bytes", ErrDamaged, bytesWanted)
	}
	return out, nil
}
