package state

import "os"

// mark writes that the folder is open, and reports whether it said so already.
func mark(f *os.File) (unclean bool, err error) {
	st, err := f.Stat()
	if err != nil {
		return false, err
	}
	if st.Size() > 0 {
		return true, nil
	}
	if _, err := f.WriteAt([]byte("open\n"), 0); err != nil {
		return false, err
	}
	return false, f.Sync()
}
