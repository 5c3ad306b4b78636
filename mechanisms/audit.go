package mechanisms

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Event is one thing that happened to knobs. The audit holds them all; metrics and traces are made of the same.
type Event struct {
	Seq       uint64        `json:"seq"`
	Time      time.Time     `json:"time"`
	Kind      string        `json:"kind"`
	Actor     string        `json:"actor,omitempty"` // the process that did it: "daemon" or "guard"
	Mechanism string        `json:"mechanism,omitempty"`
	Owner     string        `json:"owner,omitempty"`
	Plan      string        `json:"plan,omitempty"`
	Lease     LeaseID       `json:"lease,omitempty"`
	Outcome   Outcome       `json:"outcome,omitempty"`
	Changes   []Change      `json:"changes,omitempty"`
	Code      string        `json:"code,omitempty"`
	Reason    string        `json:"reason,omitempty"`
	Took      time.Duration `json:"took_ns,omitempty"`
}

// The kinds of event.
const (
	EventCommand  = "command"      // a set or reset, whatever its outcome
	EventExpired  = "expired"      // a lease has run out
	EventReverted = "reverted"     // knobs went to the next lease or their old value
	EventPending  = "pending"      // knobs can't be put back yet
	EventAdopted  = "adopted"      // leases of the process before this one go on
	EventDrift    = "drift"        // someone else moved a knob that we hold
	EventForeign  = "foreign"      // old values that are not written back, because something else is there now
	EventDamaged  = "damaged"      // a state file could not be believed
	EventHandsOff = "hands-off"    // the operator's file appeared
	EventResumed  = "resumed"      // and went away
	EventStarted  = "started"      // a supervisor took the state folder
	EventStopped  = "stopped"      // and gave it back
	eventRepaired = "audit-mended" // the last line of the audit was torn
)

// auditLine is one line of the file: the hash covers the record's bytes, and the record names the line before.
type auditLine struct {
	Hash   string          `json:"hash"`
	Record json.RawMessage `json:"record"`
}

type auditRecord struct {
	Prev string `json:"prev"`
	Event
}

const (
	auditFile    = "audit.jsonl"
	auditOldFile = "audit.1.jsonl"
	auditLock    = "audit.lock"
	maxAuditLine = 8 << 20
)

// audit appends events to a file that processes may share. When the file has reached its bound it becomes the old
// file, in place of the one before, and the chain goes on in a new one.
type audit struct {
	dir      string
	maxBytes int64
	now      func() time.Time
}

// append writes one event and fills in its number. It opens the file each time: actions are rare, and the guard
// may have written since.
func (a *audit) append(e *Event) error {
	lock, err := lockPatiently(filepath.Join(a.dir, auditLock), time.Second)
	if err != nil {
		return fmt.Errorf("append to audit: %w", err)
	}
	defer lock.Close()
	if err := a.appendLocked(e); err != nil {
		return fmt.Errorf("append to audit: %w", err)
	}
	return nil
}

func (a *audit) appendLocked(e *Event) error {
	name := filepath.Join(a.dir, auditFile)
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer func() { f.Close() }()
	last, size, torn, err := tail(f)
	if err != nil {
		return err
	}
	if torn > 0 {
		if err := f.Truncate(size); err != nil {
			return err
		}
	}
	if size == 0 {
		last, err = a.lastOfOld()
		if err != nil {
			return err
		}
	}
	if size >= a.maxBytes {
		if f, err = a.rotate(f, name); err != nil {
			return err
		}
		size = 0
	}
	if torn > 0 {
		mend := &Event{Time: a.now(), Kind: eventRepaired, Reason: fmt.Sprintf("%d bytes of an unfinished line were cut off", torn)}
		if last, size, err = put(f, size, last, mend); err != nil {
			return err
		}
	}
	_, _, err = put(f, size, last, e)
	return err
}

func (a *audit) rotate(f *os.File, name string) (*os.File, error) {
	f.Close()
	if err := os.Rename(name, filepath.Join(a.dir, auditOldFile)); err != nil {
		return f, err
	}
	return os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
}

// mark is the end of the chain so far.
type mark struct {
	hash string
	seq  uint64
}

func put(f *os.File, at int64, last mark, e *Event) (mark, int64, error) {
	e.Seq = last.seq + 1
	record, err := json.Marshal(auditRecord{Prev: last.hash, Event: *e})
	if err != nil {
		return last, at, err
	}
	hash := hashOf(record)
	line, err := json.Marshal(auditLine{Hash: hash, Record: record})
	if err != nil {
		return last, at, err
	}
	n, err := f.WriteAt(append(line, '\n'), at)
	return mark{hash, e.Seq}, at + int64(n), err
}

func hashOf(record []byte) string {
	sum := sha256.Sum256(record)
	return hex.EncodeToString(sum[:])
}

// tail finds the last whole line: its mark, where it ends, and how many bytes follow it.
func tail(f *os.File) (last mark, size int64, torn int64, err error) {
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil || end == 0 {
		return mark{}, 0, 0, err
	}
	buf, err := lastBytes(f, end)
	if err != nil {
		return mark{}, 0, 0, err
	}
	for cut := bytes.LastIndexByte(buf, '\n'); cut >= 0; cut = bytes.LastIndexByte(buf[:cut], '\n') {
		start := bytes.LastIndexByte(buf[:cut], '\n') + 1
		if m, err := parseMark(buf[start:cut]); err == nil {
			size = end - int64(len(buf)) + int64(cut) + 1
			return m, size, end - size, nil
		}
	}
	if int64(len(buf)) < end {
		return mark{}, 0, 0, errors.New("no whole line at the end of the file")
	}
	return mark{}, 0, end, nil
}

func lastBytes(f *os.File, end int64) ([]byte, error) {
	n := min(end, maxAuditLine)
	buf := make([]byte, n)
	_, err := f.ReadAt(buf, end-n)
	return buf, err
}

func parseMark(line []byte) (mark, error) {
	r, hash, err := parseLine(line)
	return mark{hash, r.Seq}, err
}

func parseLine(line []byte) (r auditRecord, hash string, err error) {
	var l auditLine
	if err := json.Unmarshal(line, &l); err != nil {
		return r, "", err
	}
	if hashOf(l.Record) != l.Hash {
		return r, "", errors.New("its hash does not match")
	}
	return r, l.Hash, json.Unmarshal(l.Record, &r)
}

func (a *audit) lastOfOld() (mark, error) {
	f, err := os.Open(filepath.Join(a.dir, auditOldFile))
	if errors.Is(err, fs.ErrNotExist) {
		return mark{}, nil
	}
	if err != nil {
		return mark{}, err
	}
	defer f.Close()
	m, _, _, err := tail(f)
	return m, err
}

// VerifyAudit walks the audit in a state folder, oldest first, checks every hash and link, and calls visit (which
// may be nil) for each event. Only the beginning of the chain, rotated away long ago, is taken on trust.
func VerifyAudit(dir string, visit func(Event) error) (events int, err error) {
	var last mark
	for _, name := range []string{auditOldFile, auditFile} {
		n, err := verifyFile(filepath.Join(dir, name), &last, visit)
		events += n
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return events, fmt.Errorf("verify audit: %s: %w", name, err)
		}
	}
	return events, nil
}

func verifyFile(name string, last *mark, visit func(Event) error) (int, error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, maxAuditLine)
	n := 0
	for ; sc.Scan(); n++ {
		r, hash, err := parseLine(sc.Bytes())
		if err != nil {
			return n, fmt.Errorf("line %d: %w", n+1, err)
		}
		if *last != (mark{}) && (r.Prev != last.hash || r.Seq != last.seq+1) {
			return n, fmt.Errorf("line %d: it does not follow the line before it", n+1)
		}
		*last = mark{hash, r.Seq}
		if visit == nil {
			continue
		}
		if err := visit(r.Event); err != nil {
			return n, err
		}
	}
	return n, sc.Err()
}
