package kernel

import (
	"fmt"
	"io"
	"path"
)

// File is one regular file of an initial RAM disk.
type File struct {
	Name       string // without a leading slash
	Executable bool
	Contents   []byte
}

// WriteInitramfs writes files as a cpio archive in the format that the kernel unpacks ("newc", see the kernel's
// Documentation/driver-api/early-userspace/buffer-format.rst), with the folders above them and /dev/console.
func WriteInitramfs(w io.Writer, files []File) error {
	a := &archive{w: w, dirs: map[string]bool{".": true}}
	a.dir("dev")
	a.entry("dev/console", 0o020600, 5, 1, nil)
	a.dir("root")
	for _, f := range files {
		a.file(f)
	}
	a.entry("TRAILER!!!", 0, 0, 0, nil)
	return a.err
}

// archive remembers the folders written and the first error.
type archive struct {
	w     io.Writer
	inode int
	dirs  map[string]bool
	err   error
}

func (a *archive) file(f File) {
	a.dir(path.Dir(f.Name))
	mode := 0o100644
	if f.Executable {
		mode = 0o100755
	}
	a.entry(f.Name, mode, 0, 0, f.Contents)
}

// dir writes a folder and those above it, once.
func (a *archive) dir(name string) {
	if a.dirs[name] {
		return
	}
	a.dirs[name] = true
	a.dir(path.Dir(name))
	a.entry(name, 0o040755, 0, 0, nil)
}

func (a *archive) entry(name string, mode, major, minor int, contents []byte) {
	a.inode++
	const links, zero = 1, 0
	header := fmt.Sprintf("070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%s\x00",
		a.inode, mode, zero, zero, links, zero, len(contents), zero, zero, major, minor, len(name)+1, zero, name)
	a.padded([]byte(header))
	a.padded(contents)
}

// padded writes b and zeros up to a multiple of four.
func (a *archive) padded(b []byte) {
	for _, part := range [][]byte{b, make([]byte, -len(b)&3)} {
		if a.err == nil {
			_, a.err = a.w.Write(part)
		}
	}
}
