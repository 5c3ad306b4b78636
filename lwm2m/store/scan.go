package store

import (
	"bytes"
	"errors"
	"io"
)

// Damage is a stretch of a file that no record could be read from.
type Damage struct {
	File           string
	Offset, Length int64
}

// scanner reads the records of a file one after the other, over damage.
type scanner struct {
	r   io.ReaderAt
	at  int64 // where in the file the next record starts
	end int64 // of the file

	buf  []byte
	base int64 // where in the file buf starts
	err  error // of reading, other than the file's end
}

const scanBuffer = 256 << 10

func newScanner(r io.ReaderAt, start, end int64) *scanner {
	return &scanner{r: r, at: start, base: start, end: end, buf: make([]byte, 0, scanBuffer)}
}

// window returns the n bytes at an offset, or nil where the file has no so many.
func (s *scanner) window(at int64, n int) []byte {
	if at+int64(n) > s.end {
		return nil
	}
	if at < s.base || at+int64(n) > s.base+int64(len(s.buf)) {
		if cap(s.buf) < n {
			s.buf = make([]byte, 0, n)
		}
		got, err := s.r.ReadAt(s.buf[:min(int64(cap(s.buf)), s.end-at)], at)
		s.base, s.buf = at, s.buf[:got]
		if got < n {
			if !errors.Is(err, io.EOF) {
				s.err = err
			}
			return nil
		}
	}
	return s.buf[at-s.base:][:n]
}

// recordAt reads the record at an offset. Its slices are good until the next call.
func (s *scanner) recordAt(at int64) (record, bool) {
	header := s.window(at, headerSize)
	if header == nil {
		return record{}, false
	}
	size := recordSize(header)
	if size == 0 {
		return record{}, false
	}
	b := s.window(at, size)
	if b == nil {
		return record{}, false
	}
	return parseRecord(b)
}

// next returns the record at the present offset and goes behind it. It ends at the file's end, and at damage.
func (s *scanner) next() (r record, at int64, ok bool) {
	at = s.at
	if r, ok = s.recordAt(at); ok {
		s.at += int64(r.size())
	}
	return r, at, ok
}

// skip goes from damage to the next record that can be read. There is none if it returns false: then it stays.
func (s *scanner) skip() bool {
	for at := s.at + 1; at+headerSize <= s.end; {
		b := s.window(at, int(min(s.end-at, scanBuffer/2)))
		if b == nil {
			return false
		}
		i := bytes.IndexByte(b, recordMagic>>8)
		if i < 0 {
			at += int64(len(b))
			continue
		}
		at += int64(i)
		if _, ok := s.recordAt(at); ok {
			s.at = at
			return true
		}
		at++
	}
	return false
}
