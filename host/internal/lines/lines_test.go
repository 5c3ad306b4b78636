package lines

import (
	"debug/dwarf"
	"encoding/binary"
	"os"
	"testing"
)

// unit makes a line program of version 4 for policy.c: line 3 from 0x10, line 7 from 0x20, until 0x30.
func unit(start uint32) []byte {
	header := []byte{1, 1, 1, 0xfb, 14, 13, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1}
	header = append(header, "/home/somebody/sdk\x00\x00"+"policy.c\x00\x00\x00\x00edgehold.h\x00\x01\x00\x00\x00"...)
	program := append([]byte{0, 5, 2}, binary.LittleEndian.AppendUint32(nil, start)...)
	program = append(program, 3, 2, 1, 2, 16, 4, 2, 3, 4, 1, 2, 16, 0, 1, 1)
	b := binary.LittleEndian.AppendUint32([]byte{4, 0}, uint32(len(header)))
	b = append(append(b, header...), program...)
	return append(binary.LittleEndian.AppendUint32(nil, uint32(len(b))), b...)
}

func TestFind(t *testing.T) {
	line := append(unit(0), unit(0x10)...) // the first is of functions that were left out
	got := Find(Sections{Line: line}, []uint32{0x0f, 0x10, 0x1f, 0x20, 0x2f, 0x30})
	want := []Position{{}, {"policy.c", 3}, {"policy.c", 3}, {"sdk/edgehold.h", 7}, {"sdk/edgehold.h", 7}, {}}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%d: got %+v, want %+v", i, got[i], want[i])
		}
	}
}

// What breaks off says what it said until then, and nothing of it is an error.
func TestFindBrokenOff(t *testing.T) {
	whole := unit(0x10)
	for n := range whole {
		Find(Sections{Line: whole[:n]}, []uint32{0x10})
	}
	if got := Find(Sections{Line: append(whole, 0xff)}, []uint32{0x10}); got[0].Line != 3 {
		t.Errorf("got %+v", got)
	}
}

// The standard library reads the same rows.
func TestAgreesWithTheStandardLibrary(t *testing.T) {
	section, err := os.ReadFile("testdata/policy.debug_line")
	if err != nil {
		t.Fatal(err)
	}
	abbrev := []byte{1, 0x11, 0, 0x10, 0x17, 0, 0, 0}
	info := []byte{12, 0, 0, 0, 4, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0}
	d, err := dwarf.New(abbrev, nil, nil, info, section, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	entry, err := d.Reader().Next()
	if err != nil {
		t.Fatal(err)
	}
	r, err := d.LineReader(entry)
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	var last, row dwarf.LineEntry
	for r.Next(&row) == nil {
		if !last.EndSequence && last.Address > 0 && last.Address < row.Address && last.Line > 0 {
			rows++
			if got := Find(Sections{Line: section}, []uint32{uint32(last.Address)}); got[0].Line != last.Line {
				t.Fatalf("%#x: got %+v, want line %d", last.Address, got[0], last.Line)
			}
		}
		last = row
	}
	if rows < 100 {
		t.Errorf("only %d rows were compared", rows)
	}
}

func FuzzFind(f *testing.F) {
	f.Add(unit(0x10), []byte("a\x00"), uint32(0x10))
	if section, err := os.ReadFile("testdata/policy.debug_line"); err == nil {
		f.Add(section, []byte(nil), uint32(0x100))
	}
	five := []byte{5, 0, 4, 0, 40, 0, 0, 0, 1, 1, 1, 0xfb, 14, 13, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1, 1, 1, 0x1f, 1, 0, 0, 0, 0, 2, 1, 0x1f, 2, 0x0b, 1, 0, 0, 0, 0, 0}
	f.Add(append(binary.LittleEndian.AppendUint32(nil, uint32(len(five))), five...), []byte("policy.rs\x00"), uint32(1))
	f.Fuzz(func(t *testing.T, line, text []byte, offset uint32) {
		for _, p := range Find(Sections{Line: line, LineStr: text, Str: text}, []uint32{offset, 1, 0x1000}) {
			if len(p.File) > 3*maxName+maxName || p.Line < 0 {
				t.Errorf("got %+v", p)
			}
		}
	})
}

// A hostile section of the largest size costs a moment: each program is read once, and rows are not kept.
func BenchmarkHostile(b *testing.B) {
	section := make([]byte, 0, 4<<20)
	for len(section) < 4<<20-100 {
		section = append(section, unit(0x10)...)
	}
	b.SetBytes(int64(len(section)))
	b.ReportAllocs()
	for b.Loop() {
		Find(Sections{Line: section}, []uint32{1, 2, 3, 4, 5, 6, 7, 8})
	}
}
