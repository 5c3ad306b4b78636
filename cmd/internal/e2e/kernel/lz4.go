package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// lz4Magic begins the legacy frame, the one that the kernel's build uses.
const lz4Magic = 0x184C2102

var errLZ4 = errors.New("damaged LZ4 data")

// unLZ4 unpacks a legacy LZ4 frame: blocks, each behind its length, until the input ends or another frame's magic number
// follows. No more than limit bytes come out.
func unLZ4(frame []byte, limit int) (out []byte, err error) {
	if len(frame) < 4 || binary.LittleEndian.Uint32(frame) != lz4Magic {
		return nil, fmt.Errorf("%w: not a legacy frame", errLZ4)
	}
	for in := frame[4:]; len(in) >= 4; {
		n := binary.LittleEndian.Uint32(in)
		if n == 0 || uint64(n) > uint64(len(in)-4) {
			break // what the kernel's build appends: the unpacked length, padding
		}
		if out, err = unLZ4Block(out, in[4:4+n], limit); err != nil {
			return nil, err
		}
		in = in[4+n:]
	}
	return out, nil
}

// unLZ4Block appends one block's sequences: literals, then a copy of what went before.
func unLZ4Block(out, in []byte, limit int) ([]byte, error) {
	start := len(out)
	for len(in) > 0 {
		token := in[0]
		literals, rest, ok := lz4Length(int(token>>4), in[1:])
		if !ok || literals > len(rest) || len(out)+literals > limit {
			return nil, fmt.Errorf("%w: literals", errLZ4)
		}
		out, in = append(out, rest[:literals]...), rest[literals:]
		if len(in) == 0 {
			return out, nil // the last sequence has literals only
		}
		if len(in) < 2 {
			return nil, fmt.Errorf("%w: offset", errLZ4)
		}
		offset := int(binary.LittleEndian.Uint16(in))
		match, rest, ok := lz4Length(int(token&15), in[2:])
		match += 4
		if !ok || offset == 0 || offset > len(out)-start || len(out)+match > limit {
			return nil, fmt.Errorf("%w: match", errLZ4)
		}
		in = rest
		for range match { // byte by byte, as the copy may overlap itself
			out = append(out, out[len(out)-offset])
		}
	}
	return out, nil
}

// lz4Length reads the bytes that continue a length of 15.
func lz4Length(n int, in []byte) (length int, rest []byte, ok bool) {
	if n < 15 {
		return n, in, true
	}
	for i, b := range in {
		n += int(b)
		if b != 255 {
			return n, in[i+1:], true
		}
	}
	return 0, nil, false
}
