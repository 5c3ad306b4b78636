package store

import (
	"errors"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Options say how a store works. The zero value is good.
type Options struct {
	// Window is how long a record may wait in memory for the next flush of the disk, 50 ms if 0. Whoever waits for
	// durability shortens it.
	Window time.Duration
	// MaxBytes bounds the records that live, 512 MiB if 0 and at most 2 GiB. The files take up to twice that and two logs more.
	MaxBytes int64
	// SegmentBytes is the size at which a log file is followed by the next, 16 MiB if 0.
	SegmentBytes int64
	// Logger is told what goes wrong in the background.
	Logger *slog.Logger
}

const maxPending = 16 << 20 // bytes that wait for a disk that takes none

func (o Options) withDefaults() Options {
	if o.Window <= 0 {
		o.Window = 50 * time.Millisecond
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 512 << 20
	}
	o.MaxBytes = min(o.MaxBytes, 2<<30)
	if o.SegmentBytes <= 0 {
		o.SegmentBytes = 16 << 20
	}
	o.SegmentBytes = min(o.SegmentBytes, 1<<30)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Mark is a moment in a store's life in this process: see [Store.Wait].
type Mark uint64

// Store is an open store. Its methods may be called by many goroutines.
type Store struct {
	dir     string
	options Options
	lock    *os.File
	dirty   chan struct{} // something waits to be written
	turn    chan struct{} // holds one while somebody writes
	compact chan struct{} // there is something to compact
	files   sync.Mutex    // held by whoever reads whole files or takes them away

	mu       sync.RWMutex
	index    index
	segments []*segment // oldest first, the last is active
	active   *segment   // what pending will be written to
	pending  []byte     // records behind writing
	writing  []byte     // records behind what target has
	target   *segment   // of writing
	written  Mark       // behind the newest record in writing
	roll     bool       // the next write begins a new log
	spare    []byte     // for the next pending
	appended Mark       // behind the newest record
	durable  Mark       // behind the newest record that a crash leaves
	broken   error      // why nothing can be made durable any more
	urgent   bool       // compaction is wanted whatever it saves
}

func newStore(dir string, o Options, lock *os.File) *Store {
	return &Store{
		dir: dir, options: o, lock: lock, index: newIndex(),
		dirty: make(chan struct{}, 1), turn: make(chan struct{}, 1), compact: make(chan struct{}, 1),
	}
}

// Put stores a value under a kind and key, in place of what was there. It is durable when [Store.Wait] of its mark returns,
// and read by [Store.Get] at once. It keeps neither key nor value.
func (s *Store) Put(k Kind, key string, value []byte) (Mark, error) {
	if len(value) > maxRecord || len(key) > maxKey {
		return 0, tooLarge(len(key) + len(value))
	}
	return s.append(record{kind: k, key: keyBytes(key), value: value})
}

// Delete forgets what is stored under a kind and key, if anything is.
func (s *Store) Delete(k Kind, key string) (Mark, error) {
	if len(key) > maxKey {
		return 0, nil
	}
	return s.append(record{kind: k, key: keyBytes(key), dead: true})
}

func (s *Store) append(r record) (Mark, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.room(r); err != nil {
		return 0, err
	}
	if r.dead {
		if _, ok := s.index.places[s.index.id(r.kind, r.key)]; !ok {
			return s.appended, nil
		}
	}
	at := s.active.size + int64(len(s.pending))
	if s.target == s.active {
		at += int64(len(s.writing))
	}
	s.pending = appendRecord(s.pending, r)
	s.index.apply(r, place{s.active.number, uint32(at), uint32(r.size())})
	s.appended++
	signal(s.dirty)
	return s.appended, nil
}

// room says whether a record may be appended.
func (s *Store) room(r record) error {
	switch {
	case s.active == nil:
		return ErrClosed
	case s.broken != nil:
		return s.broken
	case len(s.pending) > maxPending:
		return full("the disk has taken nothing for a while")
	case !r.dead && s.index.live+int64(r.size()) > s.options.MaxBytes:
		return full("its records have reached the bound")
	}
	return nil
}

// Get returns a copy of the value under a kind and key.
func (s *Store) Get(k Kind, key string) (value []byte, found bool, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.active == nil {
		return nil, false, ErrClosed
	}
	at, ok := s.index.places[s.index.id(k, keyBytes(key))]
	if !ok {
		return nil, false, nil
	}
	b := make([]byte, at.size)
	if err := s.fetch(b, at); err != nil {
		return nil, false, err
	}
	r, ok := parseRecord(b)
	if !ok {
		return nil, false, &Error{Code: "lwm2m-store.damaged", What: "read a record", Why: "its checksum is wrong", Hint: "the disk has lost it; the device will register again"}
	}
	return r.value, true, nil
}

// fetch reads the bytes of a record from where they are.
func (s *Store) fetch(b []byte, at place) error {
	seg := s.find(at.segment)
	from := int64(at.offset) - seg.size
	if from < 0 {
		if _, err := seg.file.ReadAt(b, int64(at.offset)); err != nil {
			return failed("read "+seg.name(), err)
		}
		return nil
	}
	if s.target == seg {
		if from < int64(len(s.writing)) {
			copy(b, s.writing[from:])
			return nil
		}
		from -= int64(len(s.writing))
	}
	copy(b, s.pending[from:])
	return nil
}

func (s *Store) find(number uint32) *segment {
	for i := len(s.segments) - 1; i > 0; i-- {
		if s.segments[i].number == number {
			return s.segments[i]
		}
	}
	return s.segments[0]
}

// Len returns how many records of a kind live.
func (s *Store) Len(k Kind) int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.index.counts[k&^tombstone]
}

// Bytes returns the size of the records that live, and of the files.
func (s *Store) Bytes() (live, files int64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.index.live, s.fileBytes()
}

func (s *Store) fileBytes() (n int64) {
	for _, seg := range s.segments {
		n += seg.size
	}
	return n
}

// Each calls f with every record of a kind, in no order. It is for the start: records that are put while it runs may be
// missed. The slices are good until f returns.
func (s *Store) Each(k Kind, f func(key, value []byte) error) error {
	s.files.Lock()
	defer s.files.Unlock()
	if err := s.Flush(); err != nil {
		return err
	}
	s.mu.RLock()
	segments := append([]*segment(nil), s.segments...)
	s.mu.RUnlock()
	for _, seg := range segments {
		sc := newScanner(seg.file, int64(len(fileMagic)), s.sizeOf(seg))
		for {
			r, at, ok := sc.next()
			if !ok && !sc.skip() {
				break
			}
			if !ok || r.kind != k || !s.alive(r, seg.number, at) {
				continue
			}
			if err := f(r.key, r.value); err != nil {
				return err
			}
		}
		if sc.err != nil {
			return failed("read "+seg.name(), sc.err)
		}
	}
	return nil
}

func (s *Store) sizeOf(seg *segment) int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return seg.size
}

// alive reports whether the record at a place is its key's newest.
func (s *Store) alive(r record, number uint32, at int64) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	p, ok := s.index.places[s.index.id(r.kind, r.key)]
	return ok && p.segment == number && int64(p.offset) == at
}

// Close makes everything durable and closes the files. Nothing may use the store any more, nor may Run run.
func (s *Store) Close() error {
	err := s.Flush()
	s.mu.Lock()
	s.active = nil
	s.mu.Unlock()
	return errors.Join(err, s.closeFiles())
}

func (s *Store) closeFiles() error {
	var errs []error
	for _, seg := range s.segments {
		if seg.file != nil {
			errs = append(errs, seg.file.Close())
		}
	}
	s.segments = nil
	return errors.Join(append(errs, s.lock.Close())...)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
