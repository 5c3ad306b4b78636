package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// tempPattern names files that are being written. They mean nothing to anybody but their writer.
const tempPattern = ".new-*"

// ReplaceFile replaces a file so that a crash leaves the old or the new one, and returns when the new one would survive
// it. The new one has just the given mode, and is its owner's alone until it is whole. What a crash leaves half written,
// [Sweep] removes.
func ReplaceFile(path string, content []byte, mode fs.FileMode) error {
	return replace(path, content, mode, func(string) {})
}

func replace(path string, content []byte, mode fs.FileMode, step func(string)) error {
	f, err := os.CreateTemp(filepath.Dir(path), tempPattern)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone already if all went well
	step("created")
	half := len(content) / 2 // so that a test can stop between
	_, err = f.Write(content[:half])
	step("half written")
	if err == nil {
		_, err = f.Write(content[half:])
	}
	step("written")
	err = errors.Join(err, f.Chmod(mode), f.Sync())
	step("synced")
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return publish(f.Name(), path, step)
}

// publish gives a file that is on the disk its name.
func publish(temporary, path string, step func(string)) error {
	if err := os.Rename(temporary, path); err != nil {
		return err
	}
	step("renamed")
	err := SyncDir(filepath.Dir(path))
	step("folder synced")
	return err
}

// SyncDir returns when the names in a folder would survive a crash.
func SyncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// OpenRegular opens a regular file below a folder for reading. It follows no link out of the folder and does not wait for
// the other end of a pipe.
func OpenRegular(folder *os.Root, name string) (*os.File, error) {
	f, err := folder.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, &fs.PathError{Op: "read", Path: name, Err: errors.New("it is not a regular file")}, f.Close())
	}
	return f, nil
}

// Sweep removes what crashes left half written in a folder that nobody writes to.
func Sweep(dir string) {
	paths, _ := filepath.Glob(filepath.Join(dir, tempPattern))
	for _, path := range paths {
		_ = os.Remove(path)
	}
}
