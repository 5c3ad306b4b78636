// Package lines finds the line of a source that an instruction was compiled from, in a module's DWARF line programs.
// It reads nothing else of DWARF: names of functions come from the name section, and what was inlined is not told.
//
// The sections are hostile. One pass reads them from end to end, in time that their length bounds, and keeps nothing but the
// file table of one program at a time. RATIONALE.md says why debug/dwarf does not do it.
package lines

import "math"

// Sections are a module's custom sections with lines, as far as it has them.
type Sections struct {
	Line    []byte // .debug_line
	LineStr []byte // .debug_line_str
	Str     []byte // .debug_str
}

// Position is a line of a source. The zero Position is none.
type Position struct {
	File string
	Line int
}

// Find returns the position of each code offset, counted from the beginning of the code section's contents. Where the sections
// break off, what was found until then counts.
func Find(s Sections, offsets []uint32) []Position {
	found := make([]Position, len(offsets))
	r := reader{b: s.Line}
	for r.ok() && r.left() > 0 {
		unit := r.sub(r.u32())
		if r.failed {
			break
		}
		p := program{sections: s, offsets: offsets, found: found}
		p.read(&unit)
	}
	return found
}

// Bounds of what is handed out, since it is printed.
const (
	maxName = 256
	maxLine = math.MaxInt32
)

// program is one line program: that of a file, as a rule.
type program struct {
	sections Sections
	offsets  []uint32
	found    []Position

	version           uint16
	addressSize       byte
	minLength         uint64
	lineBase          int64
	lineRange, opBase uint64
	operands          []byte // how many each standard opcode has
	folders, files    []name

	row, last state
	live      bool // the sequence is of code that is there
	open      bool // last is a row of the present sequence
}

// state are the registers of the machine that a line program drives.
type state struct {
	address    uint64
	file, line uint64
}

func (p *program) read(r *reader) {
	p.version = r.u16()
	if p.version < 2 || p.version > 5 {
		return
	}
	p.addressSize = 4
	if p.version == 5 {
		p.addressSize = r.byte()
		r.byte() // segment selectors, which Wasm has none of
	}
	header := r.sub(r.u32())
	if r.failed {
		return
	}
	p.minLength = uint64(header.byte())
	if p.version >= 4 {
		header.byte() // operations in an instruction
	}
	header.byte() // whether rows are statements
	p.lineBase = int64(int8(header.byte()))
	p.lineRange, p.opBase = uint64(header.byte()), uint64(header.byte())
	if header.failed || p.lineRange == 0 || p.opBase == 0 {
		return
	}
	p.operands = header.bytes(p.opBase - 1)
	if p.version == 5 {
		p.folders = p.entries(&header)
		p.files = p.entries(&header)
	} else {
		p.tables(&header)
	}
	if !header.failed {
		p.run(r)
	}
}

func (p *program) reset() { p.row, p.open, p.live = state{file: 1, line: 1}, false, false }

// run executes the program.
func (p *program) run(r *reader) {
	p.reset()
	for r.ok() && r.left() > 0 {
		op := uint64(r.byte())
		switch {
		case op >= p.opBase:
			op -= p.opBase
			p.row.address += op / p.lineRange * p.minLength
			p.row.line += uint64(p.lineBase + int64(op%p.lineRange))
			p.emit()
		case op == 0:
			extended := r.sub64(r.unsigned())
			p.extended(&extended)
		default:
			p.standard(op, r)
		}
	}
}

// The opcodes that matter here.
const (
	opCopy        = 1
	opAdvancePC   = 2
	opAdvanceLine = 3
	opSetFile     = 4
	opConstAddPC  = 8
	opFixedAddPC  = 9

	extEndSequence = 1
	extSetAddress  = 2
)

func (p *program) standard(op uint64, r *reader) {
	switch op {
	case opCopy:
		p.emit()
	case opAdvancePC:
		p.row.address += r.unsigned() * p.minLength
	case opAdvanceLine:
		p.row.line += uint64(r.signed())
	case opSetFile:
		p.row.file = r.unsigned()
	case opConstAddPC:
		p.row.address += (255 - p.opBase) / p.lineRange * p.minLength
	case opFixedAddPC:
		p.row.address += uint64(r.u16())
	default:
		for range p.operands[op-1] {
			r.unsigned()
		}
	}
}

func (p *program) extended(r *reader) {
	switch r.byte() {
	case extEndSequence:
		p.emit()
		p.reset()
	case extSetAddress:
		if p.addressSize == 8 {
			p.row.address = uint64(r.u32()) | uint64(r.u32())<<32
		} else {
			p.row.address = uint64(r.u32())
		}
		// The linker leaves the sequences of functions that it left out, at zero or at the very end.
		p.live = p.row.address > 0 && p.row.address < math.MaxUint32-1
	}
}

// emit is what a row does: the one before it holds until here.
func (p *program) emit() {
	if p.open && p.live {
		for i, offset := range p.offsets {
			if p.last.address <= uint64(offset) && uint64(offset) < p.row.address && p.found[i] == (Position{}) {
				p.found[i] = p.position(p.last)
			}
		}
	}
	p.last, p.open = p.row, true
}

func (p *program) position(s state) Position {
	index := s.file
	if p.version < 5 {
		index-- // files are counted from one
	}
	if index >= uint64(len(p.files)) || s.line == 0 || s.line > maxLine {
		return Position{}
	}
	return Position{File: p.path(p.files[index]), Line: int(s.line)}
}
