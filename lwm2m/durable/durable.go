// Package durable reads and replaces the small files of a device, so that a loss of power leaves the old or the new one. It is no database, and not for what a
// node keeps (plugins/store): what is half written stands under one fixed name beside the file, so that power that is lost again and again does not fill the flash.
package durable

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Suffix is that of a file that was half written.
const Suffix = ".new"

// Read reads a file that has at most so many bytes: a damaged file system must not fill the memory.
func Read(name string, most int64) ([]byte, error) {
	r, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, most+1))
	if err == nil && int64(len(b)) > most {
		err = fmt.Errorf("it is longer than %d bytes", most)
	}
	return b, err
}

// Replace gives a file new content. When it returns, the content has survived.
func Replace(name string, content []byte) error {
	return ReplaceInSteps(name, content, func(string) {})
}

// ReplaceInSteps is Replace for tests that end at one of its steps.
func ReplaceInSteps(name string, content []byte, step func(string)) error {
	fresh := name + Suffix
	w, err := os.OpenFile(fresh, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = w.Write(content)
	step("written " + filepath.Base(name))
	if err = errors.Join(err, w.Sync(), w.Close()); err != nil {
		return errors.Join(err, os.Remove(fresh))
	}
	step("synced " + filepath.Base(name))
	return Rename(fresh, name, step)
}

// Rename gives a file that is on the disk its name. When it returns, the name has survived.
func Rename(from, to string, step func(string)) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	step("renamed " + filepath.Base(to))
	return SyncFolder(filepath.Dir(to))
}

// SyncFolder returns when the names in a folder have survived.
func SyncFolder(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
