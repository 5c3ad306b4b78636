//go:build linux

// Package fakesysfs is a file system in user space that behaves as sysfs does where plain files do not: a write can be
// refused with any errno, take long, be moved to another value without an error, or be followed by a change that nobody
// asked for. It is a double for tests only, and it is no simulation of any hardware: what an attribute does is up to the test.
package fakesysfs

import (
	"context"
	"os"
	"path"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// Attr is one attribute. Its functions may be changed while the file system is mounted, by [FS.Change].
type Attr struct {
	Value string
	// Store decides about a write: the value that the attribute takes, or an errno. nil takes everything.
	Store func(f *FS, old, written string) (string, syscall.Errno)
	// Load decides about a read. nil shows Value.
	Load func(f *FS, value string) (string, syscall.Errno)
	// Slow is how long each write takes.
	Slow time.Duration
	// ReadOnly attributes answer a write with EACCES, for root too.
	ReadOnly bool
}

// FS is a mounted file system. In Store and Load, [FS.Peek] and [FS.Poke] may be used, nothing else.
type FS struct {
	Root string // where it is mounted

	mu     sync.Mutex
	attrs  map[string]*Attr
	writes []Write
	hook   func(Write)
}

// Write is one write that arrived, whatever became of it.
type Write struct {
	Path, Value string
	Errno       syscall.Errno
}

// Mount mounts a file system with these attributes, by path, and unmounts it at the test's end. It skips the test where
// there is no FUSE.
func Mount(t testing.TB, attrs map[string]*Attr) *FS {
	t.Helper()
	if _, err := os.Stat("/dev/fuse"); err != nil {
		t.Skip("needs /dev/fuse")
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root to mount FUSE")
	}
	f := &FS{Root: t.TempDir(), attrs: attrs}
	opts := &fs.Options{NullPermissions: true, MountOptions: fuse.MountOptions{DirectMount: true, Name: "fakesysfs"}}
	server, err := fs.Mount(f.Root, &top{fs: f}, opts)
	if err != nil {
		t.Skipf("needs to mount FUSE: %v", err)
	}
	t.Cleanup(func() {
		if err := server.Unmount(); err != nil {
			t.Errorf("unmount fakesysfs: %v", err)
		}
		server.Wait()
	})
	return f
}

// Get returns an attribute's value, as the hardware has it.
func (f *FS) Get(name string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.Peek(name)
}

// Set changes a value behind everybody's back.
func (f *FS) Set(name, value string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Poke(name, value)
}

// Change changes how an attribute behaves.
func (f *FS) Change(name string, change func(*Attr)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f.attrs[name])
}

// OnWrite calls fn after each write, with nothing locked.
func (f *FS) OnWrite(fn func(Write)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hook = fn
}

// Writes returns what has been written since the last call.
func (f *FS) Writes() []Write {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := f.writes
	f.writes = nil
	return w
}

// Peek is Get for use in Store and Load.
func (f *FS) Peek(name string) string {
	if a := f.attrs[name]; a != nil {
		return a.Value
	}
	return ""
}

// Poke is Set for use in Store and Load.
func (f *FS) Poke(name, value string) {
	if a := f.attrs[name]; a != nil {
		a.Value = value
	}
}

func (f *FS) load(name string) (string, syscall.Errno) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := f.attrs[name]
	if a.Load == nil {
		return a.Value, 0
	}
	return a.Load(f, a.Value)
}

func (f *FS) store(name, written string) syscall.Errno {
	f.mu.Lock()
	a := f.attrs[name]
	slow := a.Slow
	f.mu.Unlock()
	time.Sleep(slow)
	f.mu.Lock()
	errno := a.take(f, written)
	w := Write{Path: name, Value: written, Errno: errno}
	f.writes = append(f.writes, w)
	hook := f.hook
	f.mu.Unlock()
	if hook != nil {
		hook(w)
	}
	return errno
}

func (a *Attr) take(f *FS, written string) syscall.Errno {
	switch {
	case a.ReadOnly:
		return syscall.EACCES
	case a.Store == nil:
		a.Value = written
		return 0
	}
	v, errno := a.Store(f, a.Value, written)
	if errno == 0 {
		a.Value = v
	}
	return errno
}

// top is the root directory; it builds the tree when it is mounted.
type top struct {
	fs.Inode
	fs *FS
}

func (t *top) OnAdd(ctx context.Context) {
	for name := range t.fs.attrs {
		dir, base := path.Split(name)
		parent := &t.Inode
		for part := range strings.SplitSeq(strings.Trim(dir, "/"), "/") {
			parent = folder(ctx, parent, part)
		}
		parent.AddChild(base, parent.NewPersistentInode(ctx, &file{fs: t.fs, name: name}, fs.StableAttr{}), true)
	}
}

func folder(ctx context.Context, parent *fs.Inode, name string) *fs.Inode {
	if child := parent.GetChild(name); child != nil {
		return child
	}
	child := parent.NewPersistentInode(ctx, &fs.Inode{}, fs.StableAttr{Mode: syscall.S_IFDIR})
	parent.AddChild(name, child, true)
	return child
}

// file is one attribute's node.
type file struct {
	fs.Inode
	fs   *FS
	name string
}

var _ interface {
	fs.NodeGetattrer
	fs.NodeSetattrer
	fs.NodeOpener
	fs.NodeReader
	fs.NodeWriter
} = (*file)(nil)

func (n *file) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	out.Mode, out.Size = 0o644, 4096 // sysfs too shows a page
	return 0
}

func (n *file) Setattr(context.Context, fs.FileHandle, *fuse.SetAttrIn, *fuse.AttrOut) syscall.Errno {
	return 0
}

func (n *file) Open(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return nil, fuse.FOPEN_DIRECT_IO, 0
}

func (n *file) Read(_ context.Context, _ fs.FileHandle, _ []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	v, errno := n.fs.load(n.name)
	if errno != 0 {
		return nil, errno
	}
	b := []byte(v + "\n")
	return fuse.ReadResultData(b[min(off, int64(len(b))):]), 0
}

func (n *file) Write(_ context.Context, _ fs.FileHandle, data []byte, _ int64) (uint32, syscall.Errno) {
	if errno := n.fs.store(n.name, strings.TrimSpace(string(data))); errno != 0 {
		return 0, errno
	}
	return uint32(len(data)), 0
}
