// Package sysfs reads and writes attribute files below a root that is a value: the machine's own tree, a recorded
// one, or a file system made for a test. It is not a parser of any particular subsystem; that is for the drivers.
//
// What it reads is taken to be hostile: at most a page, text only, one line, regular files only, and never outside
// the root, whatever links there are.
package sysfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
)

// pageSize is the most that the kernel gives for one attribute.
const pageSize = 4096

// maxNames bounds a directory listing.
const maxNames = 65536

// Dir is a directory of attributes.
type Dir struct {
	root *os.Root
	path string
}

// Open opens a directory. Nothing outside it can be reached through it.
func Open(path string) (*Dir, error) {
	r, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return &Dir{root: r, path: path}, nil
}

// Close gives the directory's descriptor back.
func (d *Dir) Close() error { return d.root.Close() }

// Path returns what the directory was opened as.
func (d *Dir) Path() string { return d.path }

// Exists reports whether there is a file of that name, readable or not.
func (d *Dir) Exists(name string) bool {
	_, err := d.root.Stat(name)
	return err == nil
}

// Read returns the first line of an attribute without the newline and outer space.
func (d *Dir) Read(name string) (string, error) {
	f, err := d.open(name, os.O_RDONLY)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, pageSize+1))
	if err != nil {
		return "", err
	}
	line, err := firstLine(b)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", name, err)
	}
	return line, nil
}

// Write gives an attribute a new value by one write, as the kernel wants it. It never creates a file.
func (d *Dir) Write(name, value string) error {
	if _, err := firstLine([]byte(value)); err != nil || strings.ContainsRune(value, '\n') {
		return fmt.Errorf("write %s: %q is not one line of text", name, value)
	}
	f, err := d.open(name, os.O_WRONLY)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value + "\n")
	if err == nil {
		err = trim(f, int64(len(value)+1))
	}
	return errors.Join(err, f.Close())
}

// Names lists the entries of a directory, sorted.
func (d *Dir) Names(name string) ([]string, error) {
	f, err := d.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(maxNames)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	slices.Sort(names)
	return names, nil
}

// open does not wait for the other end of a pipe that someone has put in an attribute's place.
func (d *Dir) open(name string, flag int) (*os.File, error) {
	f, err := d.root.OpenFile(name, flag|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: name, Err: errors.New("not a regular file")}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// firstLine checks what was read. A longer old value may show below a newer one for a moment in a recorded tree
// (never in sysfs), hence the first line only.
func firstLine(b []byte) (string, error) {
	if len(b) > pageSize {
		return "", fmt.Errorf("more than %d bytes", pageSize)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	for _, r := range line {
		if r != '\t' && (r < ' ' || r > '~') {
			return "", fmt.Errorf("not text: contains %q", r)
		}
	}
	return strings.TrimSpace(line), nil
}
