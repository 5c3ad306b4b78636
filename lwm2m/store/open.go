package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Report says what opening found.
type Report struct {
	Records int      // that live
	Bytes   int64    // of files read
	Torn    int64    // bytes of a last record that a crash cut off
	Damaged []Damage // records that can't be read any more, so that older ones may count; their files are set aside with the next compaction
}

// Open opens the store in a folder, which it makes if need be, and reads all that is there. Nothing is written later than
// [Options.Window] if [Store.Run] runs.
func Open(dir string, o Options) (*Store, Report, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, Report{}, failed("make "+dir, err)
	}
	lock, err := acquire(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, Report{}, err
	}
	s := newStore(dir, o.withDefaults(), lock)
	report, err := s.load()
	if err != nil {
		s.closeFiles()
		return nil, report, err
	}
	return s, report, nil
}

func (s *Store) load() (Report, error) {
	var report Report
	live, stale, err := listSegments(s.dir)
	if err != nil {
		return report, err
	}
	for _, name := range stale {
		if err := os.Remove(filepath.Join(s.dir, name)); err != nil {
			return report, failed("remove "+name, err)
		}
	}
	for i, seg := range live {
		if err := s.read(seg, s.nothingBehind(live[i+1:]), &report); err != nil {
			return report, err
		}
		s.segments = append(s.segments, seg)
	}
	report.Records = len(s.index.places)
	s.urgent = len(report.Damaged) > 0
	return report, s.startLog()
}

// nothingBehind reports whether no record stands in the files behind one: a crash may come when the next log is made and the last
// records of the one before are on their way to the disk.
func (s *Store) nothingBehind(files []*segment) bool {
	for _, seg := range files {
		info, err := os.Stat(filepath.Join(s.dir, seg.name()))
		if err != nil || info.Size() > int64(len(fileMagic)) {
			return false
		}
	}
	return true
}

// startLog makes the last file the one that is written, or begins a new one.
func (s *Store) startLog() error {
	if n := len(s.segments); n > 0 {
		last := s.segments[n-1]
		if !last.snapshot && !last.damaged && last.size < s.options.SegmentBytes {
			s.active = last
			return nil
		}
	}
	seg, err := s.newLog()
	if err != nil {
		return err
	}
	s.active = seg
	s.segments = append(s.segments, seg)
	return nil
}

func (s *Store) newLog() (*segment, error) {
	s.mu.RLock()
	number := uint32(1)
	if n := len(s.segments); n > 0 {
		number = s.segments[n-1].number + 1
	}
	s.mu.RUnlock()
	seg, err := createSegment(s.dir, (&segment{number: number}).name(), number)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(seg.file.Sync(), syncDir(s.dir)); err != nil {
		return nil, errors.Join(failed("create "+seg.name(), err), seg.file.Close())
	}
	return seg, nil
}

// read takes over the records of a file. A tail that can't be read is cut off the last log with records, and is damage elsewhere.
func (s *Store) read(seg *segment, last bool, report *Report) error {
	name := seg.name()
	f, err := os.OpenFile(filepath.Join(s.dir, name), os.O_RDWR, 0)
	if err != nil {
		return failed("open "+name, err)
	}
	seg.file = f
	info, err := f.Stat()
	if err != nil {
		return failed("open "+name, err)
	}
	report.Bytes += info.Size()
	start, err := s.head(seg, info.Size())
	if err != nil {
		return err
	}
	sc := newScanner(f, start, info.Size())
	for {
		r, at, ok := sc.next()
		if ok {
			s.index.apply(r, place{seg.number, uint32(at), uint32(r.size())})
			continue
		}
		if !sc.skip() {
			break
		}
		s.damage(seg, at, sc.at-at, report)
	}
	if sc.err != nil {
		return failed("read "+name, sc.err)
	}
	seg.size = info.Size()
	if tail := seg.size - sc.at; tail > 0 {
		if !last || seg.snapshot || seg.damaged {
			s.damage(seg, sc.at, tail, report)
			return nil
		}
		report.Torn += tail
	}
	if last && !seg.snapshot && !seg.damaged {
		return s.cut(seg, max(sc.at, int64(len(fileMagic))))
	}
	return nil
}

// head checks how a file begins and returns where its records do. A head that is cut short or damaged costs no records;
// a later version's file is refused.
func (s *Store) head(seg *segment, size int64) (int64, error) {
	head := make([]byte, min(size, int64(len(fileMagic))))
	if _, err := seg.file.ReadAt(head, 0); err != nil {
		return 0, failed("read "+seg.name(), err)
	}
	n := len(fileMagic)
	switch {
	case string(head) == fileMagic:
		return int64(n), nil
	case len(head) == n && string(head[:n-1]) == fileMagic[:n-1]:
		return 0, &Error{Code: "lwm2m-store.version", What: "read " + seg.name(), Why: fmt.Sprintf("it has format %d, and this program knows %d", head[n-1], fileMagic[n-1]),
			Hint: "run the version of the gateway that wrote it, or move the folder away"}
	}
	return 0, nil
}

func (s *Store) damage(seg *segment, at, length int64, report *Report) {
	seg.damaged = true
	report.Damaged = append(report.Damaged, Damage{File: seg.name(), Offset: at, Length: length})
}

// cut ends a log behind its last whole record.
func (s *Store) cut(seg *segment, size int64) error {
	if size == seg.size {
		return nil
	}
	err := seg.file.Truncate(size)
	if err == nil {
		_, err = seg.file.WriteAt([]byte(fileMagic), 0) // which a crash may have cut as well
	}
	if err == nil {
		err = seg.file.Sync()
	}
	if err != nil {
		return failed("cut "+seg.name(), err)
	}
	seg.size = size
	return nil
}
