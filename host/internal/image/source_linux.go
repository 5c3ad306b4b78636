package image

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// newSource prefers a sealed memfd; kernels and sandboxes without memfd_create get copies.
func newSource(content []byte) (source, error) {
	f, err := newFile(content)
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) {
		return newCopies(content), nil
	}
	return f, err
}

const sealed = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE | unix.F_SEAL_SEAL

// file is an anonymous file that nobody can change any more, mapped privately by every memory.
type file struct {
	fd   int
	size uint64 // rounded up to whole pages
}

func newFile(content []byte) (*file, error) {
	fd, err := unix.MemfdCreate("edgehold-image", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("memfd_create: %w", err)
	}
	f := &file{fd: fd, size: wholePages(uint64(len(content)))}
	if err := f.fill(content); err != nil {
		_ = f.close()
		return nil, err
	}
	return f, nil
}

// fill writes what is not zero, so that empty pages stay holes, and seals the file.
func (f *file) fill(content []byte) error {
	if err := unix.Ftruncate(f.fd, int64(f.size)); err != nil {
		return fmt.Errorf("set the image's size: %w", err)
	}
	for offset := 0; offset < len(content); offset += pageSize {
		page := content[offset:min(offset+pageSize, len(content))]
		if isZero(page) {
			continue
		}
		if n, err := unix.Pwrite(f.fd, page, int64(offset)); err != nil || n < len(page) {
			return fmt.Errorf("write the image at %d: wrote %d of %d bytes: %w", offset, n, len(page), err)
		}
	}
	if _, err := unix.FcntlInt(uintptr(f.fd), unix.F_ADD_SEALS, sealed); err != nil {
		return fmt.Errorf("seal the image: %w", err)
	}
	return nil
}

func (f *file) close() error { return unix.Close(f.fd) }

const (
	protection = unix.PROT_READ | unix.PROT_WRITE
	private    = unix.MAP_PRIVATE | unix.MAP_NORESERVE
)

func (f *file) open(limit uint64) (region, error) {
	limit = max(wholePages(limit), uint64(pageSize))
	base, err := unix.MmapPtr(-1, 0, nil, uintptr(limit), protection, private|unix.MAP_ANON)
	if err != nil {
		return nil, err
	}
	m := &mapping{base: base, limit: limit, image: f.size}
	if f.size == 0 {
		return m, nil
	}
	if _, err := unix.MmapPtr(f.fd, 0, base, uintptr(f.size), protection, private|unix.MAP_FIXED); err != nil {
		_ = m.free()
		return nil, err
	}
	return m, nil
}

// mapping is one reserved range: the image's pages first, zero pages behind them.
type mapping struct {
	base         unsafe.Pointer
	limit, image uint64
	size         uint64
}

func (m *mapping) resize(size uint64) []byte {
	m.size = size
	return unsafe.Slice((*byte)(m.base), m.limit)[:size:size]
}

// reset drops the private copies of changed pages; the next read faults the image's page in again.
func (m *mapping) reset() error {
	used := max(m.image, wholePages(m.size))
	if used == 0 {
		return nil
	}
	return unix.Madvise(unsafe.Slice((*byte)(m.base), used), unix.MADV_DONTNEED)
}

func (m *mapping) free() error { return unix.MunmapPtr(m.base, uintptr(m.limit)) }

var pageSize = unix.Getpagesize()

func wholePages(n uint64) uint64 {
	p := uint64(pageSize)
	return (n + p - 1) / p * p
}

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
