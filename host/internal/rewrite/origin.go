package rewrite

import (
	"fmt"
	"sort"

	"github.com/edgehold/edgehold/host/internal/wasm"
)

// LineSection is the custom section whose presence says that a module knows the lines of its sources.
const LineSection = ".debug_line"

// move says that the original's instructions from one offset on were written from another offset on. Offsets are within
// the function.
type move struct{ to, from, length uint32 }

// Origins tells where instructions of an instrumented module were in the original. Offsets are bytes from the beginning
// of the code section's contents; what the rewriting added counts as what it stands before. Options have to be those
// that the module was instrumented with. It does the instrumenting again, which is as cheap as it is rare: a module that runs
// well never needs it.
func Origins(module []byte, o Options, offsets []uint32) ([]uint32, error) {
	r, err := newRewriter(module, o)
	if err != nil {
		return nil, err
	}
	r.moves = make([][]move, len(r.m.Bodies))
	out, err := r.instrument()
	if err != nil {
		return nil, err
	}
	before, after := wasm.CodeSpans(module), wasm.CodeSpans(out)
	if len(before) != len(r.moves) || len(after) < len(before) {
		return nil, fmt.Errorf("find the original of an instruction: %d functions became %d", len(before), len(after))
	}
	origins := make([]uint32, len(offsets))
	for i, offset := range offsets {
		f := sort.Search(len(before), func(f int) bool { return after[f].End > offset })
		if f < len(before) && after[f].Start <= offset {
			origins[i] = before[f].Start + original(r.moves[f], offset-after[f].Start)
		}
	}
	return origins, nil
}

// original finds the instruction that a new one comes from.
func original(moves []move, offset uint32) uint32 {
	n := sort.Search(len(moves), func(n int) bool { return moves[n].to > offset })
	if n == 0 { // before the first: what every function begins with
		return 0
	}
	m := moves[n-1]
	return m.from + min(offset-m.to, m.length)
}

// marks are the least DWARF that has the engine tell offsets in stack traces: one unit with one line for all code. Its own
// lines would be wrong, since the code has moved, and hostile; the true ones are looked up by what Origins says.
func marks() []wasm.Custom {
	return []wasm.Custom{
		{Name: ".debug_abbrev", Bytes: []byte{
			1, 0x11, 0, // a compile unit without children
			0x10, 0x17, 0x11, 0x01, 0x12, 0x06, 0, 0, // its line program, low and high pc
			0,
		}},
		{Name: ".debug_info", Bytes: []byte{
			20, 0, 0, 0, 4, 0, 0, 0, 0, 0, 4, // 20 bytes of version 4, with addresses of 4 bytes
			1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x7f,
		}},
		{Name: LineSection, Bytes: []byte{
			47, 0, 0, 0, 3, 0, 24, 0, 0, 0, // version 3, a header of 24 bytes more
			1, 1, 0xfb, 14, 13, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1, // instructions and their operands
			0,                  // no folders
			'o', 0, 0, 0, 0, 0, // one file
			0, 5, 2, 1, 0, 0, 0, // from 1
			1,                            // line 1
			2, 0xff, 0xff, 0xff, 0xf7, 7, // to 0x7f000000
			0, 1, 1,
		}},
	}
}
