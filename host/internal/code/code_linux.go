package code

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// leastBytes is the size below which moving is not worth a file.
const leastBytes = 256 << 10

// Around calls load, and moves what it left in executable anonymous memory. It reports how many bytes were moved. The error
// is load's: when moving fails the code stays where it is.
func (m *Mover) Around(load func() error) (moved int64, err error) {
	loading.Lock()
	defer loading.Unlock()
	before, mapsErr := executable()
	if err := load(); err != nil || mapsErr != nil {
		return 0, err
	}
	after, mapsErr := executable()
	if mapsErr != nil {
		return 0, nil
	}
	fresh := slices.DeleteFunc(subtract(after, before), func(s span) bool { return s.size() < leastBytes })
	// More than one means that somebody makes code without the lock. What isn't ours may be unmapped at any moment, and its
	// addresses given to somebody else: hands off.
	if len(fresh) == 1 && m.move(fresh[0]) == nil {
		moved = int64(fresh[0].size())
	}
	return moved, nil
}

// move puts a file with the same bytes in the place of a span. The old pages disappear in the same system call in which the
// new ones appear, and only after both were compared.
func (m *Mover) move(s span) error {
	content := s.bytes()
	f, err := m.file(content)
	if err != nil {
		return err
	}
	defer f.Close()
	const protection, private = unix.PROT_READ | unix.PROT_EXEC, unix.MAP_PRIVATE
	trial, err := unix.MmapPtr(int(f.Fd()), 0, nil, s.size(), protection, private)
	if err != nil {
		return fmt.Errorf("map the code's file: %w", err) // for one, on a file system mounted noexec
	}
	same := bytes.Equal(unsafe.Slice((*byte)(trial), s.size()), content)
	if err := unix.MunmapPtr(trial, s.size()); err != nil || !same {
		return errors.Join(errors.New("the code's file has other bytes"), err)
	}
	_, err = unix.MmapPtr(int(f.Fd()), 0, s.pointer(), s.size(), protection, private|unix.MAP_FIXED)
	return err
}

// file opens the file with this content, after writing it if it isn't there or is damaged.
func (m *Mover) file(content []byte) (*os.File, error) {
	sum := sha256.Sum256(content)
	path := filepath.Join(m.dir, hex.EncodeToString(sum[:]))
	if f, err := intact(path, sum); err == nil {
		now := time.Now()
		_ = os.Chtimes(path, now, now) // the owner of the directory removes what is not used; a read-only one stays as it is
		return f, nil
	}
	if err := write(path, content); err != nil {
		return nil, fmt.Errorf("keep code in a file: %w", err)
	}
	return intact(path, sum)
}

func intact(path string, sum [sha256.Size]byte) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	h := sha256.New()
	if _, err = f.WriteTo(h); err == nil && [sha256.Size]byte(h.Sum(nil)) != sum {
		err = errors.New("damaged")
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func write(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".code-*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
