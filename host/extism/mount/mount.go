// Package mount shows a plugin on the Extism project's SDK the files that its capabilities grant, as WASI mounts. It decides
// nothing: package capability does, for each file that is opened. Nothing can be made, renamed, linked or removed through it.
package mount

import (
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental/sys"
	"github.com/tetratelabs/wazero/experimental/sysfs"
	wasi "github.com/tetratelabs/wazero/sys"
)

// Files is what the mounts are made of: plain files that exist, by their absolute paths, and the folders that lead to them.
type Files interface {
	Open(name string, write bool) (file *os.File, most uint64, err error)
	Entries(folder string) (names []string, ok bool)
}

// Config returns how a plugin is instantiated that sees these files at their own paths, and nothing else.
func Config(f Files) wazero.ModuleConfig {
	mounts := wazero.NewFSConfig().(sysfs.FSConfig).WithSysFSMount(tree{files: f}, "/")
	return wazero.NewModuleConfig().WithFSConfig(mounts).WithSysWalltime().WithSysNanotime().WithSysNanosleep()
}

// Runtime returns the SDK's runtime, which keeps machine code in a folder; none is kept if that is empty.
func Runtime(cacheDir string) (wazero.RuntimeConfig, error) {
	c := wazero.NewRuntimeConfig()
	if cacheDir == "" {
		return c, nil
	}
	cache, err := wazero.NewCompilationCacheWithDir(cacheDir)
	if err != nil {
		return nil, err
	}
	return c.WithCompilationCache(cache), nil
}

// tree is the file system of a plugin.
type tree struct {
	sys.UnimplementedFS
	files Files
}

func absolute(name string) string { return path.Clean("/" + name) }

// OpenFile implements sys.FS. What does not exist is not made.
func (t tree) OpenFile(name string, flag sys.Oflag, _ fs.FileMode) (sys.File, sys.Errno) {
	name = absolute(name)
	write := flag&(sys.O_WRONLY|sys.O_RDWR|sys.O_TRUNC|sys.O_APPEND) != 0
	if names, ok := t.files.Entries(name); ok {
		if write {
			return nil, sys.EISDIR
		}
		return &folder{tree: t, name: name, names: names}, 0
	}
	if flag&sys.O_DIRECTORY != 0 {
		return nil, sys.ENOTDIR
	}
	return t.open(name, flag, write)
}

func (t tree) open(name string, flag sys.Oflag, write bool) (sys.File, sys.Errno) {
	f := &file{}
	var err error
	if f.most, err = f.use(t.files, name, flag, write); err != nil {
		f.Close()
		return nil, number(err)
	}
	if flag&sys.O_TRUNC != 0 {
		if errno := f.Truncate(0); errno != 0 {
			f.Close()
			return nil, errno
		}
	}
	f.SetAppend(flag&sys.O_APPEND != 0)
	f.size = func() (int64, sys.Errno) {
		st, errno := f.Stat()
		return st.Size, errno
	}
	return f, 0
}

// number is what a plugin is told of an error.
func number(err error) sys.Errno {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, fs.ErrNotExist):
		return sys.ENOENT
	}
	if own, ok := errors.AsType[interface {
		error
		ErrorCode() string
	}](err); ok && own != nil {
		return sys.EACCES
	}
	if n := sys.UnwrapOSError(err); n != 0 {
		return n
	}
	return sys.EIO
}

// Stat implements sys.FS.
func (t tree) Stat(name string) (wasi.Stat_t, sys.Errno) {
	f, errno := t.OpenFile(name, sys.O_RDONLY, 0)
	if errno != 0 {
		return wasi.Stat_t{}, errno
	}
	defer f.Close()
	return f.Stat()
}

// Lstat implements sys.FS: a plugin sees no links.
func (t tree) Lstat(name string) (wasi.Stat_t, sys.Errno) { return t.Stat(name) }

// cursor is where the next read or write is. Its offset is a type parameter because vet takes a plain Seek for io.Seeker's.
type cursor[T int64] struct {
	sys.UnimplementedFile
	at   T
	size func() (T, sys.Errno) // nil: there is no end to seek from
}

// Seek implements sys.File.
func (c *cursor[T]) Seek(offset T, whence int) (T, sys.Errno) {
	switch {
	case whence == io.SeekStart:
	case whence == io.SeekCurrent:
		offset += c.at
	case whence == io.SeekEnd && c.size != nil:
		end, errno := c.size()
		if errno != 0 {
			return 0, errno
		}
		offset += end
	default:
		return 0, sys.EINVAL
	}
	if offset < 0 {
		return 0, sys.EINVAL
	}
	c.at = offset
	return offset, 0
}

// folder leads to granted files.
type folder struct {
	tree  tree
	name  string
	names []string
	cursor[int64]
}

// IsDir implements sys.File.
func (*folder) IsDir() (bool, sys.Errno) { return true, 0 }

// Stat implements sys.File.
func (*folder) Stat() (wasi.Stat_t, sys.Errno) {
	return wasi.Stat_t{Mode: fs.ModeDir | 0o555, Nlink: 1}, 0
}

// Readdir implements sys.File.
func (d *folder) Readdir(n int) ([]sys.Dirent, sys.Errno) {
	rest := d.names[min(d.at, int64(len(d.names))):]
	if n > 0 {
		rest = rest[:min(n, len(rest))]
	}
	d.at += int64(len(rest))
	out := make([]sys.Dirent, 0, len(rest))
	for _, name := range rest {
		e := sys.Dirent{Name: name}
		if _, ok := d.tree.files.Entries(path.Join(d.name, name)); ok {
			e.Type = fs.ModeDir
		}
		out = append(out, e)
	}
	return out, 0
}

// file is a granted file. Reading and writing go through separate descriptors, each opened as its capability permits.
type file struct {
	r, w   *os.File
	most   uint64
	append bool
	cursor[int64]
}

// use opens what flags ask for. The smaller of two bounds holds.
func (f *file) use(files Files, name string, flag sys.Oflag, write bool) (most uint64, err error) {
	most = math.MaxInt64
	if flag&sys.O_WRONLY == 0 || !write {
		var m uint64
		if f.r, m, err = files.Open(name, false); err != nil {
			return 0, err
		}
		most = min(most, m)
	}
	if write {
		var m uint64
		if f.w, m, err = files.Open(name, true); err != nil {
			return 0, err
		}
		most = min(most, m)
	}
	return most, nil
}

func (f *file) any() *os.File {
	if f.r != nil {
		return f.r
	}
	return f.w
}

// IsDir implements sys.File.
func (*file) IsDir() (bool, sys.Errno) { return false, 0 }

// IsAppend implements sys.File.
func (f *file) IsAppend() bool { return f.append }

// SetAppend implements sys.File.
func (f *file) SetAppend(enable bool) sys.Errno {
	f.append = enable
	return 0
}

// Stat implements sys.File.
func (f *file) Stat() (wasi.Stat_t, sys.Errno) {
	info, err := f.any().Stat()
	if err != nil {
		return wasi.Stat_t{}, number(err)
	}
	return wasi.NewStat_t(info), 0
}

// Read implements sys.File.
func (f *file) Read(b []byte) (int, sys.Errno) {
	n, errno := f.Pread(b, f.at)
	f.at += int64(n)
	return n, errno
}

// Pread implements sys.File.
func (f *file) Pread(b []byte, offset int64) (int, sys.Errno) {
	if f.r == nil {
		return 0, sys.EBADF
	}
	if offset < 0 {
		return 0, sys.EINVAL
	}
	if uint64(offset) >= f.most {
		if _, err := f.r.ReadAt(make([]byte, 1), offset); err == nil && len(b) > 0 {
			return 0, sys.EIO // there is more than was granted: better no answer than half of one
		}
		return 0, 0
	}
	n, err := f.r.ReadAt(b[:min(uint64(len(b)), f.most-uint64(offset))], offset)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, number(err)
}

// Write implements sys.File.
func (f *file) Write(b []byte) (int, sys.Errno) {
	if f.append {
		if _, errno := f.Seek(0, io.SeekEnd); errno != 0 {
			return 0, errno
		}
	}
	n, errno := f.Pwrite(b, f.at)
	f.at += int64(n)
	return n, errno
}

// Pwrite implements sys.File.
func (f *file) Pwrite(b []byte, offset int64) (int, sys.Errno) {
	switch {
	case f.w == nil:
		return 0, sys.EBADF
	case offset < 0:
		return 0, sys.EINVAL
	case uint64(offset) > f.most || uint64(len(b)) > f.most-uint64(offset):
		return 0, sys.EIO
	}
	n, err := f.w.WriteAt(b, offset)
	return n, number(err)
}

// Truncate implements sys.File. Attributes of the kernel have no length to be cut.
func (f *file) Truncate(size int64) sys.Errno {
	switch {
	case f.w == nil:
		return sys.EBADF
	case size < 0 || uint64(size) > f.most:
		return sys.EINVAL
	}
	return number(f.w.Truncate(size))
}

// Sync implements sys.File.
func (f *file) Sync() sys.Errno { return number(f.any().Sync()) }

// Datasync implements sys.File.
func (f *file) Datasync() sys.Errno { return f.Sync() }

// Close implements sys.File.
func (f *file) Close() sys.Errno {
	var err error
	if f.r != nil {
		err = f.r.Close()
	}
	if f.w != nil {
		err = errors.Join(err, f.w.Close())
	}
	return number(err)
}
