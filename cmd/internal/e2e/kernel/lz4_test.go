package kernel

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
)

// frame puts blocks into a legacy frame.
func frame(blocks ...string) []byte {
	out := binary.LittleEndian.AppendUint32(nil, lz4Magic)
	for _, b := range blocks {
		out = append(binary.LittleEndian.AppendUint32(out, uint32(len(b))), b...)
	}
	return out
}

func TestUnLZ4(t *testing.T) {
	tests := []struct {
		name string
		in   []byte
		want string // empty when the data is damaged
	}{
		{"literals", frame("\x30abc"), "abc"},
		{"long literals", frame("\xf0\x05" + strings.Repeat("x", 20)), strings.Repeat("x", 20)},
		{"match", frame("\x30abc\x03\x00\x10d"), "abcabcad"},
		{"overlapping match", frame("\x1fa\x01\x00\x01\x10z"), "a" + strings.Repeat("a", 20) + "z"},
		{"two blocks", frame("\x10a", "\x10b"), "ab"},
		{"padding", append(frame("\x10a"), 0, 0, 0, 0, 9, 9), "a"},
		{"appended length", append(frame("\x10a"), 255, 255, 0, 0), "a"},
		{"no frame", []byte("abcdef"), ""},
		{"empty", nil, ""},
		{"literals missing", frame("\x30ab"), ""},
		{"length missing", frame("\xf0\xff"), ""},
		{"offset cut", frame("\x11ab\x01"), ""},
		{"offset zero", frame("\x10a\x00\x00\x10b"), ""},
		{"offset before the block", frame("\x10a", "\x10b\x02\x00\x10c"), ""},
		{"more than the limit", frame("\x1fa\x01\x00" + strings.Repeat("\xff", 9) + "\x00\x10b"), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := unLZ4(tt.in, 1000)
			if string(got) != tt.want || (err == nil) != (tt.want != "") {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

func FuzzUnLZ4(f *testing.F) {
	f.Add(frame("\x1fa\x01\x00\x01\x10z", "\x30abc\x03\x00\x10d"))
	f.Fuzz(func(t *testing.T, in []byte) {
		const limit = 1 << 16
		if out, err := unLZ4(in, limit); len(out) > limit || (err != nil && out != nil) {
			t.Errorf("%d bytes, %v", len(out), err)
		}
	})
}

// bootImage wraps a payload as an x86 boot image with one sector of set-up code.
func bootImage(payload []byte) []byte {
	b := make([]byte, 2*512)
	b[0x1F1] = 1
	copy(b[0x202:], "HdrS")
	binary.LittleEndian.PutUint32(b[0x24C:], uint32(len(payload)))
	return append(b, payload...)
}

func TestVmlinux(t *testing.T) {
	elf := "\x7fELF and so on"
	got, err := Vmlinux(bootImage(frame("\xd0" + elf[:13])))
	if err != nil || !bytes.Equal(got, []byte(elf[:13])) {
		t.Errorf("got %q, %v", got, err)
	}
	for name, in := range map[string][]byte{
		"empty":             nil,
		"no boot image":     make([]byte, 2048),
		"payload cut":       bootImage(frame("\x40\x7fELF"))[:1030],
		"another packing":   bootImage([]byte("\x1f\x8b\x08 gzip")),
		"not an executable": bootImage(frame("\x40text")),
	} {
		if got, err := Vmlinux(in); err == nil {
			t.Errorf("%s: got %q without an error", name, got)
		}
	}
}
