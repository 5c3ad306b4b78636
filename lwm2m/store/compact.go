package store

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
)

const minGarbage = 8 << 20 // less than this is not worth a compaction

// Compact writes the records that live in the older files into a snapshot and removes those files. What is put meanwhile
// goes on; a crash at any moment leaves either the old files or the snapshot.
func (s *Store) Compact() error {
	return s.compactUntil(context.Background())
}

func (s *Store) runCompaction(ctx context.Context) {
	signal(s.compact) // perhaps it is due since the last run
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.compact:
		}
		if !s.due() {
			continue
		}
		if err := s.compactUntil(ctx); err != nil && ctx.Err() == nil {
			s.options.Logger.Error("the store could not compact its files", "error", err)
		}
	}
}

// due reports whether half of the files are garbage.
func (s *Store) due() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.urgent || s.fileBytes() > 2*s.index.live+minGarbage
}

func (s *Store) compactUntil(ctx context.Context) error {
	s.files.Lock()
	defer s.files.Unlock()
	old, err := s.freeze()
	if err != nil {
		return err
	}
	snap, moved, err := s.snapshot(ctx, old)
	if err != nil {
		return err
	}
	s.swap(old, snap, moved)
	var errs []error
	for _, seg := range old {
		errs = append(errs, seg.file.Close(), s.discard(seg))
	}
	return errors.Join(append(errs, syncDir(s.dir))...)
}

func (s *Store) discard(seg *segment) error {
	if seg.damaged {
		return setAside(s.dir, seg.name())
	}
	return os.Remove(filepath.Join(s.dir, seg.name()))
}

// freeze begins a new log, so that the files before it change no more, and returns those.
func (s *Store) freeze() ([]*segment, error) {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	s.mu.Lock()
	if s.active == nil {
		s.mu.Unlock()
		return nil, ErrClosed
	}
	s.roll = true
	s.mu.Unlock()
	if err := s.write(); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return append([]*segment(nil), s.segments[:len(s.segments)-1]...), nil
}

// move is a record that was copied.
type move struct {
	id     id
	was    place
	offset uint32
}

// snapshot copies what lives in frozen files into a new one and makes it count.
func (s *Store) snapshot(ctx context.Context, old []*segment) (*segment, []move, error) {
	number := old[len(old)-1].number
	temp := (&segment{number: number, snapshot: true}).name() + tempSuffix
	snap, err := createSegment(s.dir, temp, number)
	if err != nil {
		return nil, nil, err
	}
	snap.snapshot = true
	moved, err := s.copyLive(ctx, old, snap)
	if err == nil {
		err = snap.file.Sync()
	}
	if err == nil {
		err = os.Rename(filepath.Join(s.dir, temp), filepath.Join(s.dir, snap.name()))
	}
	if err == nil {
		err = syncDir(s.dir)
	}
	if err != nil {
		return nil, nil, errors.Join(failed("write "+temp, err), snap.file.Close(), os.Remove(filepath.Join(s.dir, temp)))
	}
	return snap, moved, nil
}

func (s *Store) copyLive(ctx context.Context, old []*segment, snap *segment) (moved []move, err error) {
	out := bufio.NewWriterSize(io.NewOffsetWriter(snap.file, snap.size), scanBuffer)
	var buf []byte
	for _, seg := range old {
		sc := newScanner(seg.file, int64(len(fileMagic)), seg.size)
		for ctx.Err() == nil {
			r, at, ok := sc.next()
			if !ok && !sc.skip() {
				break
			}
			if !ok || !s.alive(r, seg.number, at) {
				continue
			}
			buf = appendRecord(buf[:0], r)
			if _, err := out.Write(buf); err != nil {
				return nil, err
			}
			was := place{seg.number, uint32(at), uint32(len(buf))}
			moved = append(moved, move{s.index.id(r.kind, r.key), was, uint32(snap.size)})
			snap.size += int64(len(buf))
		}
		if err := errors.Join(sc.err, ctx.Err()); err != nil {
			return nil, err
		}
	}
	return moved, out.Flush()
}

// swap makes the snapshot stand for the files that it was made from.
func (s *Store) swap(old []*segment, snap *segment, moved []move) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range moved {
		if s.index.places[m.id] == m.was {
			s.index.places[m.id] = place{snap.number, m.offset, m.was.size}
		}
	}
	s.segments = append([]*segment{snap}, s.segments[len(old):]...)
	s.urgent = false
}
