package code

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// executableMemory does what a compiler does: it fills memory and makes it executable.
func executableMemory(t *testing.T, content []byte) unsafe.Pointer {
	t.Helper()
	p, err := unix.MmapPtr(-1, 0, nil, uintptr(len(content)), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	b := unsafe.Slice((*byte)(p), len(content))
	copy(b, content)
	if err := unix.Mprotect(b, unix.PROT_READ|unix.PROT_EXEC); err != nil {
		t.Skipf("memory can not be made executable here: %v", err)
	}
	t.Cleanup(func() { _ = unix.MunmapPtr(p, uintptr(len(content))) })
	return p
}

func isFile(t *testing.T, p unsafe.Pointer, dir string) bool {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	want := strings.TrimPrefix(strings.ToLower(address(p)), "0x")
	for line := range strings.Lines(string(maps)) {
		if strings.HasPrefix(line, want+"-") {
			return strings.Contains(line, dir)
		}
	}
	return false
}

func address(p unsafe.Pointer) string {
	const digits = "0123456789abcdef"
	var out []byte
	for v := uintptr(p); v > 0; v >>= 4 {
		out = append([]byte{digits[v&15]}, out...)
	}
	return string(out)
}

func TestCodeMovesToAFileAndStaysTheSame(t *testing.T) {
	dir := t.TempDir()
	m := NewMover(dir)
	content := bytes.Repeat([]byte{0xc3, 1, 2, 3}, leastBytes/4)
	for _, spoil := range []bool{false, true} { // the second time the file is there, damaged
		if spoil {
			files, _ := filepath.Glob(filepath.Join(dir, "*"))
			if len(files) != 1 || os.WriteFile(files[0], []byte("damaged"), 0o600) != nil {
				t.Fatalf("files: %v", files)
			}
		}
		var p unsafe.Pointer
		moved, err := m.Around(func() error { p = executableMemory(t, content); return nil })
		if err != nil || moved != int64(len(content)) {
			t.Fatalf("moved %d bytes, %v", moved, err)
		}
		if !isFile(t, p, dir) {
			t.Error("the memory is not a mapping of the file")
		}
		if !bytes.Equal(unsafe.Slice((*byte)(p), len(content)), content) {
			t.Error("the code changed")
		}
	}
}

func TestCodeStaysWhereFilesCanNotBeWritten(t *testing.T) {
	m := NewMover(filepath.Join(t.TempDir(), "missing"))
	content := bytes.Repeat([]byte{0xc3}, leastBytes)
	var p unsafe.Pointer
	moved, err := m.Around(func() error { p = executableMemory(t, content); return nil })
	if err != nil || moved != 0 {
		t.Errorf("moved %d bytes, %v", moved, err)
	}
	if !bytes.Equal(unsafe.Slice((*byte)(p), len(content)), content) {
		t.Error("the code changed")
	}
}

func TestParseMaps(t *testing.T) {
	const maps = `00400000-00452000 r-xp 00000000 08:02 173521 /usr/bin/x
7f0000000000-7f0000100000 r-xp 00000000 00:00 0 
7f0000100000-7f0000200000 rw-p 00000000 00:00 0 
7f0000200000-7f0000300000 r-xp 00000000 00:00 0 [vdso]
`
	got, err := parseMaps(strings.NewReader(maps))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, []span{{0x7f0000000000, 0x7f0000100000}}, cmp.AllowUnexported(span{})); diff != "" {
		t.Error(diff)
	}
}

func TestSubtract(t *testing.T) {
	for _, test := range []struct {
		name                string
		after, before, want []span
	}{
		{"new", []span{{1, 2}, {5, 9}}, []span{{1, 2}}, []span{{5, 9}}},
		{"joined behind", []span{{1, 9}}, []span{{1, 5}}, []span{{5, 9}}},
		{"joined on both sides", []span{{1, 9}}, []span{{3, 5}}, []span{{1, 3}, {5, 9}}},
		{"between two", []span{{1, 9}}, []span{{1, 3}, {5, 9}}, []span{{3, 5}}},
		{"given back", []span{{1, 2}}, []span{{1, 2}, {5, 9}}, nil},
	} {
		got := subtract(test.after, test.before)
		if diff := cmp.Diff(got, test.want, cmp.AllowUnexported(span{})); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
}
