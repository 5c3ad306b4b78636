package main

import (
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// forgetCode takes the program's own read-only pages out of its address space. What is executed again comes back from the page cache, a
// cluster of 64 KiB at a time; what only the start needed does not, and the kernel may give its memory to others. It helps only: a system
// where it does not work goes on as before.
func forgetCode() {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return
	}
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	for line := range bytes.Lines(maps) {
		if start, length, ok := readOnly(line, self); ok {
			_ = adviseDontNeed(start, length)
		}
	}
}

// readOnly finds a mapping of the program's file that can't be written, so that nothing is lost with it.
func readOnly(line []byte, self string) (start, length uintptr, ok bool) {
	f := bytes.Fields(line)
	if len(f) != 6 || string(f[5]) != self || f[1][0] != 'r' || f[1][1] != '-' {
		return 0, 0, false
	}
	from, to, _ := bytes.Cut(f[0], []byte("-"))
	a, err1 := strconv.ParseUint(string(from), 16, 64)
	b, err2 := strconv.ParseUint(string(to), 16, 64)
	return uintptr(a), uintptr(b - a), err1 == nil && err2 == nil && b > a
}

func adviseDontNeed(start, length uintptr) error {
	if _, _, e := unix.Syscall(unix.SYS_MADVISE, start, length, unix.MADV_DONTNEED); e != 0 {
		return e
	}
	return nil
}
