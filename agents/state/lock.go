package state

import (
	"bytes"
	"io"
	"os"
)

// The two contents of the lock file. They have one length, so that opening and
// closing need no space on the disk.
var (
	markOpen  = []byte("open \n")
	markClean = []byte("clean\n")
)

// mark writes that the folder is open, and reports whether it said so already.
func mark(f *os.File) (unclean bool, err error) {
	was, err := io.ReadAll(io.LimitReader(f, 64))
	if err != nil {
		return false, err
	}
	unclean = len(was) > 0 && !bytes.Equal(was, markClean)
	if _, err := f.WriteAt(markOpen, 0); err != nil {
		return unclean, err
	}
	return unclean, f.Sync()
}

// unmark writes that the folder was closed as it should be.
func unmark(f *os.File) {
	_, _ = f.WriteAt(markClean, 0)
	_ = f.Sync()
}
