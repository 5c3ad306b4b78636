// Package kernel is the memory that an Extism plugin shares with its host: blocks that the plugin asks for, and which of
// them are its input, its output and its error. It knows neither engines nor guests, and decides nothing about limits but
// its own size.
//
// Plugins expect what the kernel module of the Extism project does, and RATIONALE.md says where this one differs. Every
// address is a number that a hostile plugin may have made up: what is not inside the blocks reads as zero and is not written.
package kernel

import (
	"encoding/binary"
	"slices"
)

// Offsets are addresses in the kernel's memory. Zero is none.
const (
	first     = 16 // of the first block; what is below belongs to nobody
	alignment = 8
	overhead  = 16 // bytes that a block costs beside its own, so that their number is bounded by the memory's size
)

// reuse is how many freed blocks an allocation looks at, the last freed first. It bounds the work of one call.
const reuse = 8

// Kernel is the memory of one instance. The zero value has no room; see [Kernel.Limit].
type Kernel struct {
	arena  []byte // as long as is used; beyond it, up to its capacity, all zero
	blocks []block
	free   []int // indices of blocks that were freed, the last one last
	limit  uint64

	input, output span
	failure       uint64
	refused       bool
}

// block is one allocation. Blocks are in the order of their offsets.
type block struct {
	offset, size, used uint64
	active             bool
}

type span struct{ offset, length uint64 }

// keep is the largest arena that a reset keeps for the next call.
const keep = 1 << 20

// Limit sets how many bytes the memory may have.
func (k *Kernel) Limit(bytes uint64) { k.limit = bytes }

// Reset forgets all blocks and makes the input the first one. It reports false if the input does not fit.
func (k *Kernel) Reset(input []byte) bool {
	k.clear()
	if len(input) == 0 {
		return true
	}
	at := k.Write(input)
	k.input = span{at, uint64(len(input))}
	return at != 0
}

func (k *Kernel) clear() {
	if cap(k.arena) > keep {
		k.arena = nil
	}
	clear(k.arena)
	k.arena, k.blocks, k.free = k.arena[:0], k.blocks[:0], k.free[:0]
	k.input, k.output, k.failure = span{}, span{}, 0
	k.refused = false
}

// Alloc returns the offset of a new block, or zero if n is zero or there is no room.
func (k *Kernel) Alloc(n uint64) uint64 {
	if n == 0 {
		return 0
	}
	if n > k.limit {
		k.refused = true
		return 0
	}
	if b := k.freed(n); b != nil {
		b.used, b.active = n, true
		return b.offset
	}
	return k.bump(n)
}

// Refused reports whether there was no room for a block since the last Reset.
func (k *Kernel) Refused() bool { return k.refused }

// freed takes one of the blocks that were freed last, if it is large enough and not wasteful.
func (k *Kernel) freed(n uint64) *block {
	for tries := range min(reuse, len(k.free)) {
		at := len(k.free) - 1 - tries
		b := &k.blocks[k.free[at]]
		if b.size >= n && b.size/2 <= n+overhead {
			k.free = slices.Delete(k.free, at, at+1)
			return b
		}
	}
	return nil
}

// bump makes a block behind all others.
func (k *Kernel) bump(n uint64) uint64 {
	offset := uint64(len(k.arena)) + overhead // a multiple of the alignment, as the end before it
	end := (offset + n + alignment - 1) &^ (alignment - 1)
	if end > k.limit {
		k.refused = true
		return 0
	}
	k.grow(int(end))
	k.blocks = append(k.blocks, block{offset: offset, size: end - offset, used: n, active: true})
	return offset
}

// grow makes the arena longer. Its memory is zero: it is new, or was cleared.
func (k *Kernel) grow(end int) {
	if end > cap(k.arena) {
		larger := make([]byte, len(k.arena), min(max(2*cap(k.arena), end, 4096), max(int(k.limit), end)))
		copy(larger, k.arena)
		k.arena = larger
	}
	k.arena = k.arena[:end]
}

// Free gives a block back. What is not the offset of a block is ignored.
func (k *Kernel) Free(offset uint64) {
	at, ok := k.find(offset)
	if !ok {
		return
	}
	k.blocks[at].active = false
	k.free = append(k.free, at)
	if offset == k.input.offset {
		k.input.length = 0
	}
}

// find returns the index of the active block that begins at offset.
func (k *Kernel) find(offset uint64) (at int, ok bool) {
	at, ok = slices.BinarySearchFunc(k.blocks, offset, func(b block, offset uint64) int {
		switch {
		case b.offset < offset:
			return -1
		case b.offset > offset:
			return 1
		}
		return 0
	})
	return at, ok && k.blocks[at].active
}

// Length returns the length of the block that begins at offset, and zero for every other offset.
func (k *Kernel) Length(offset uint64) uint64 {
	at, ok := k.find(offset)
	if !ok {
		return 0
	}
	return k.blocks[at].used
}

// Block returns the block that begins at offset, and nothing for every other offset. It aliases the memory.
func (k *Kernel) Block(offset uint64) []byte { return k.slice(span{offset, k.Length(offset)}) }

// Write returns the offset of a new block with b in it, or zero if b is empty or there is no room.
func (k *Kernel) Write(b []byte) uint64 {
	at := k.Alloc(uint64(len(b)))
	if at != 0 {
		copy(k.arena[at:], b)
	}
	return at
}

// within reports whether n bytes at offset are in the memory. The sum can not overflow.
func (k *Kernel) within(offset, n uint64) bool {
	size := uint64(len(k.arena))
	return offset >= first && offset <= size && n <= size-offset
}

func (k *Kernel) slice(s span) []byte {
	if s.length == 0 || !k.within(s.offset, s.length) {
		return nil
	}
	return k.arena[s.offset:][:s.length:s.length]
}

// LoadU8 returns the byte at offset.
func (k *Kernel) LoadU8(offset uint64) uint8 {
	if !k.within(offset, 1) {
		return 0
	}
	return k.arena[offset]
}

// LoadU64 returns eight bytes at offset.
func (k *Kernel) LoadU64(offset uint64) uint64 {
	if !k.within(offset, 8) {
		return 0
	}
	return binary.LittleEndian.Uint64(k.arena[offset:])
}

// StoreU8 writes a byte at offset.
func (k *Kernel) StoreU8(offset uint64, v uint8) {
	if k.within(offset, 1) {
		k.arena[offset] = v
	}
}

// StoreU64 writes eight bytes at offset.
func (k *Kernel) StoreU64(offset, v uint64) {
	if k.within(offset, 8) {
		binary.LittleEndian.PutUint64(k.arena[offset:], v)
	}
}

// InputOffset returns where the input is, or zero if there is none.
func (k *Kernel) InputOffset() uint64 { return k.input.offset }

// InputLength returns the input's length.
func (k *Kernel) InputLength() uint64 { return k.input.length }

// InputU8 returns a byte of the input.
func (k *Kernel) InputU8(at uint64) uint8 {
	if at >= k.input.length {
		return 0
	}
	return k.LoadU8(k.input.offset + at)
}

// InputU64 returns eight bytes of the input, all of which have to be inside.
func (k *Kernel) InputU64(at uint64) uint64 {
	if k.input.length < 8 || at > k.input.length-8 {
		return 0
	}
	return k.LoadU64(k.input.offset + at)
}

// SetInput makes a piece of the memory the input. One that is not in the memory is ignored.
func (k *Kernel) SetInput(offset, n uint64) {
	if k.within(offset, n) {
		k.input = span{offset, n}
	}
}

// SetOutput makes a piece of the memory the output. One that is not in the memory is ignored.
func (k *Kernel) SetOutput(offset, n uint64) {
	if k.within(offset, n) {
		k.output = span{offset, n}
	}
}

// OutputOffset returns where the output is, or zero if there is none.
func (k *Kernel) OutputOffset() uint64 { return k.output.offset }

// OutputLength returns the output's length.
func (k *Kernel) OutputLength() uint64 { return k.output.length }

// Output returns the output. It aliases the memory.
func (k *Kernel) Output() []byte { return k.slice(k.output) }

// SetError makes a block the error; zero takes the error back. What is not in the memory is ignored.
func (k *Kernel) SetError(offset uint64) {
	if offset == 0 || k.within(offset, 1) {
		k.failure = offset
	}
}

// ErrorOffset returns where the error is, or zero if there is none.
func (k *Kernel) ErrorOffset() uint64 { return k.failure }

// Failure returns the error's text. It aliases the memory.
func (k *Kernel) Failure() []byte { return k.Block(k.failure) }

// Bytes returns how much memory there is.
func (k *Kernel) Bytes() uint64 { return uint64(len(k.arena)) }
