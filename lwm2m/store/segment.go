package store

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// segment is one file: a part of the log, or a snapshot of everything up to its number.
type segment struct {
	number   uint32
	snapshot bool
	file     *os.File
	size     int64 // what was written; the log may have more in memory
	damaged  bool
}

const (
	logSuffix      = ".log"
	snapshotSuffix = ".snap"
	tempSuffix     = ".tmp"
	damagedSuffix  = ".damaged"
	maxDamaged     = 4 // files that are set aside and kept
)

func (s *segment) name() string {
	if s.snapshot {
		return fmt.Sprintf("%08d%s", s.number, snapshotSuffix)
	}
	return fmt.Sprintf("%08d%s", s.number, logSuffix)
}

// createSegment makes a new file that holds only its head.
func createSegment(dir, name string, number uint32) (*segment, error) {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, failed("create "+name, err)
	}
	if _, err := f.WriteAt([]byte(fileMagic), 0); err != nil {
		return nil, errors.Join(failed("write "+name, err), f.Close())
	}
	return &segment{number: number, file: f, size: int64(len(fileMagic))}, nil
}

func parseName(name string) (s segment, ok bool) {
	stem, suffix := strings.TrimSuffix(name, filepath.Ext(name)), filepath.Ext(name)
	if _, err := fmt.Sscanf(stem, "%08d", &s.number); err != nil {
		return s, false
	}
	s.snapshot = suffix == snapshotSuffix
	return s, s.name() == name
}

// listSegments returns the files that count, oldest first, and those that a crash left behind.
func listSegments(dir string) (live []*segment, stale []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, failed("read "+dir, err)
	}
	var all []*segment
	for _, e := range entries {
		if s, ok := parseName(e.Name()); ok {
			all = append(all, &s)
		} else if strings.HasSuffix(e.Name(), tempSuffix) {
			stale = append(stale, e.Name())
		}
	}
	slices.SortFunc(all, func(a, b *segment) int {
		return cmp.Or(cmp.Compare(a.number, b.number), cmp.Compare(len(a.name()), len(b.name()))) // the snapshot behind its log
	})
	first := 0
	for i, s := range all {
		if s.snapshot {
			first = i
		}
	}
	for _, s := range all[:first] {
		stale = append(stale, s.name())
	}
	return all[first:], stale, nil
}

// setAside keeps a damaged file under another name, for a person to look at, and not more than maxDamaged of them.
func setAside(dir, name string) error {
	kept, err := filepath.Glob(filepath.Join(dir, "*"+damagedSuffix))
	if err != nil {
		return err
	}
	slices.Sort(kept)
	for len(kept) >= maxDamaged {
		if err := os.Remove(kept[0]); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		kept = kept[1:]
	}
	return os.Rename(filepath.Join(dir, name), filepath.Join(dir, name+damagedSuffix))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
