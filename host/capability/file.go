package capability

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/edgehold/edgehold/wasmabi"
)

// filePort reads and writes files that exist.
type filePort struct {
	request wasmabi.CapabilityRequest
	offers  []Offer
	root    string
	most    uint64
	turn    chan struct{} // held by the one access that runs
}

func newFile(r *wasmabi.CapabilityRequest, c Config) *filePort {
	root := c.Root
	if root == "" {
		root = "/"
	}
	return &filePort{request: *r, offers: c.Offers, root: root, most: bytesOf(r), turn: make(chan struct{}, 1)}
}

func (f *filePort) call(ctx context.Context, op uint32, in, dst []byte) ([]byte, error) {
	var m wasmabi.File
	if err := wasmabi.DecodeFile(in, &m); err != nil {
		return dst, invalid("use file", err)
	}
	switch op {
	case wasmabi.HandleFileRead:
		return f.patiently(ctx, "read "+m.Path, dst, func() ([]byte, error) { return f.read(m.Path) })
	case wasmabi.HandleFileWrite:
		return f.patiently(ctx, "write "+m.Path, dst, func() ([]byte, error) { return nil, f.write(m.Path, m.Data) })
	case wasmabi.HandleFileList:
		return f.patiently(ctx, "list "+m.Path, dst, func() ([]byte, error) { return f.list(m.Path) })
	}
	return dst, unknownOp("file", op)
}

// patiently runs an access that the kernel may hold up for as long as it likes: a sensor on a stuck bus, a file system whose
// server is gone. When time is up the access goes on alone, and until it has ended there is no other, so a write that
// comes late never overtakes one that was made after it.
func (f *filePort) patiently(ctx context.Context, what string, dst []byte, access func() ([]byte, error)) ([]byte, error) {
	select {
	case f.turn <- struct{}{}:
	case <-ctx.Done():
		return dst, failed(wasmabi.CodeUnreached, what, "an access before it still hangs", ctx.Err())
	}
	type result struct {
		b   []byte
		err error
	}
	done := make(chan result, 1)
	go func() {
		b, err := access()
		<-f.turn
		done <- result{b, err}
	}()
	select {
	case r := <-done:
		return append(dst, r.b...), explain(what, r.err)
	case <-ctx.Done():
		return dst, failed(wasmabi.CodeUnreached, what, "it hangs", ctx.Err())
	}
}

func explain(what string, err error) error {
	if own, ok := errors.AsType[*Error](err); ok || err == nil {
		if err == nil {
			return nil
		}
		return own
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return failed(wasmabi.CodeNotFound, what, "there is no such file", err)
	case errors.Is(err, fs.ErrPermission):
		return failed(wasmabi.CodeFailed, what, "this process may not", err)
	}
	return failed(wasmabi.CodeFailed, what, "the system refuses", err)
}

// pattern returns the pattern of the manifest that grants a path.
func (f *filePort) pattern(name string, write bool) (string, error) {
	op := verb(write) + " " + name
	if !path.IsAbs(name) || path.Clean(name) != name || strings.ContainsRune(name, 0) {
		return "", denied(op, "it is not an absolute, clean path")
	}
	if write && !f.request.Write {
		return "", denied(op, "the manifest does not ask to write")
	}
	i := slices.IndexFunc(f.request.Paths, func(p string) bool { return matchPath(p, name) })
	if i < 0 {
		return "", denied(op, "the manifest does not ask for it")
	}
	if !slices.ContainsFunc(f.offers, func(o Offer) bool { return o.opens(&f.request, func(p string) bool { return matchPath(p, name) }) }) {
		return "", denied(op, "this node does not offer it")
	}
	return f.request.Paths[i], nil
}

// tree returns the folder that links may not lead out of: what stands fixed before a pattern, or the file's folder. In
// sysfs every class is made of links to devices, and the kernel alone makes them: there it is the whole of /sys.
func tree(pattern string) string {
	if strings.HasPrefix(pattern, "/sys/") {
		return "/sys"
	}
	segments := strings.Split(pattern, "/")
	n := slices.IndexFunc(segments, wasmabi.IsPattern)
	if n < 0 {
		n = len(segments) - 1
	}
	return strings.Join(segments[:n], "/")
}

// enter opens the tree of a pattern. No part of its path may be a link: whoever could turn one could widen the grant.
func (f *filePort) enter(pattern string) (tr *os.Root, prefix string, err error) {
	tr, err = os.OpenRoot(f.root)
	if err != nil {
		return nil, "", err
	}
	prefix = tree(pattern)
	for segment := range strings.SplitSeq(strings.TrimPrefix(prefix, "/"), "/") {
		if segment == "" {
			continue
		}
		below, err := descend(tr, segment)
		tr.Close()
		if err != nil {
			return nil, "", err
		}
		tr = below
	}
	return tr, prefix, nil
}

// descend opens a folder that is no link. Looking before and after finds one that is exchanged in between.
func descend(tr *os.Root, name string) (*os.Root, error) {
	before, err := tr.Lstat(name)
	if err != nil {
		return nil, err
	}
	if before.Mode()&fs.ModeSymlink != 0 {
		return nil, denied("open "+name, "it is a link; ask for what it leads to")
	}
	below, err := tr.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	after, err := below.Stat(".")
	if err == nil && !os.SameFile(before, after) {
		err = denied("open "+name, "it changed while it was opened")
	}
	if err != nil {
		below.Close()
		return nil, err
	}
	return below, nil
}

// open opens a plain file that exists. It does not wait for the other end of a pipe.
func (f *filePort) open(name string, write bool) (*os.File, error) {
	pattern, err := f.pattern(name, write)
	if err != nil {
		return nil, err
	}
	tr, prefix, err := f.enter(pattern)
	if err != nil {
		return nil, err
	}
	defer tr.Close()
	flag := os.O_RDONLY
	if write {
		flag = os.O_WRONLY
	}
	file, err := tr.OpenFile(strings.TrimPrefix(name, prefix+"/"), flag|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = denied(verb(write)+" "+name, "it is no plain file")
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

func (f *filePort) read(name string) ([]byte, error) {
	file, err := f.open(name, false)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, int64(f.most)+1))
	if err == nil && uint64(len(b)) > f.most {
		return nil, limited("read "+name, "it has more than %d bytes", f.most)
	}
	return b, err
}

// write gives a file new content by one write, as the kernel's attributes want it. It never makes a file.
func (f *filePort) write(name string, data []byte) error {
	if uint64(len(data)) > f.most {
		return limited("write "+name, "%d bytes are more than %d", len(data), f.most)
	}
	file, err := f.open(name, true)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = trim(file, int64(len(data)))
	}
	return errors.Join(err, file.Close())
}

// Bounds of a list.
const (
	maxEntries   = 4096     // of one folder
	maxListed    = 1024     // paths in a result
	maxListBytes = 48 << 10 // of the paths in a result
)

// list returns the files and folders that a pattern of the manifest matches, sorted.
func (f *filePort) list(pattern string) ([]byte, error) {
	if !slices.Contains(f.request.Paths, pattern) {
		return nil, denied("list "+pattern, "it is not one of the manifest's paths")
	}
	tr, prefix, err := f.enter(pattern)
	if errors.Is(err, fs.ErrNotExist) {
		return wasmabi.AppendNames(nil, &wasmabi.Names{}), nil
	}
	if err != nil {
		return nil, err
	}
	defer tr.Close()
	found := []string{"."}
	for segment := range strings.SplitSeq(strings.TrimPrefix(pattern, prefix+"/"), "/") {
		if found, err = step(tr, found, segment); err != nil {
			return nil, err
		}
	}
	var out wasmabi.Names
	size := 0
	slices.Sort(found)
	for _, name := range found {
		full := prefix + "/" + name
		if _, err := f.pattern(full, false); err != nil {
			continue
		}
		if size += len(full) + 4; size > maxListBytes || len(out.Names) == maxListed {
			return nil, limited("list "+pattern, "it matches too many files")
		}
		out.Names = append(out.Names, full)
	}
	return wasmabi.AppendNames(nil, &out), nil
}

// step goes one segment down from each folder.
func step(tr *os.Root, folders []string, segment string) (out []string, err error) {
	for _, folder := range folders {
		names := []string{segment}
		if wasmabi.IsPattern(segment) {
			if names, err = namesIn(tr, folder); err != nil {
				continue // no folder, or one that may not be read: it has nothing to show
			}
		}
		for _, name := range names {
			full := path.Join(folder, name)
			if !matchPath(segment, name) && name != segment {
				continue
			}
			if _, err := tr.Stat(full); err != nil {
				continue
			}
			if out = append(out, full); len(out) > maxEntries {
				return nil, limited("list files", "there are more than %d", maxEntries)
			}
		}
	}
	return out, nil
}

func namesIn(tr *os.Root, folder string) ([]string, error) {
	d, err := tr.OpenFile(folder, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(maxEntries)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return names, nil
}
