package state

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Error is an error that a person may read.
type Error struct {
	Code string // stable
	What string // was attempted and failed
	Why  string
	Hint string
	Err  error
}

// Error says what was attempted and why it failed.
func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %s: %v", e.What, e.Why, e.Err)
	}
	return e.What + ": " + e.Why
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ErrorCode returns the stable code.
func (e *Error) ErrorCode() string { return e.Code }

// ErrorWhy returns the cause in words.
func (e *Error) ErrorWhy() string { return e.Why }

// ErrorHint says what to do about it.
func (e *Error) ErrorHint() string { return e.Hint }

// ErrNotFound is what a look-up of something unknown ends with.
var ErrNotFound = errors.New("not found")

func unknown(code, what string) error {
	return &Error{Code: code, What: "find " + what, Why: "there is none", Hint: "list what there is", Err: ErrNotFound}
}

// Explain gives an error of the database or the file system its code and hint.
func Explain(what string, err error) error {
	var ours *Error
	if err == nil || errors.As(err, &ours) {
		return err
	}
	e := &Error{What: what, Err: err, Code: "state.failed", Why: "the state folder could not be used",
		Hint: "see the log of the machine for failures of its disk"}
	switch {
	case isCode(err, sqlite3.SQLITE_FULL) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT):
		e.Code, e.Why, e.Hint = "state.disk-full", "no space is left", "free some space; nothing that was accepted is lost"
	case isCode(err, sqlite3.SQLITE_READONLY) || isCode(err, sqlite3.SQLITE_CANTOPEN) ||
		errors.Is(err, syscall.EROFS) || errors.Is(err, fs.ErrPermission):
		e.Code, e.Why, e.Hint = "state.read-only", "the state folder can't be written", "mount it writable and give it to the agent's user"
	case isCorrupt(err):
		e.Code, e.Why, e.Hint = "state.corrupt", "the database is damaged", "restart the agent: it sets the file aside and recovers the policies"
	case isCode(err, sqlite3.SQLITE_IOERR):
		e.Code, e.Why = "state.io", "the disk reported a failure"
	case isCode(err, sqlite3.SQLITE_BUSY):
		e.Code, e.Why, e.Hint = "state.busy", "another process has the database locked", "stop whatever else has it open"
	}
	return e
}

// explain is Explain, and remembers damage: the next start then checks the
// database although the stop was clean.
func (d *DB) explain(what string, err error) error {
	if isCorrupt(err) {
		d.damaged.Store(true)
	}
	return Explain(what, err)
}

func isCorrupt(err error) bool {
	return errors.Is(err, errDamaged) || isCode(err, sqlite3.SQLITE_CORRUPT) || isCode(err, sqlite3.SQLITE_NOTADB)
}

// isCode compares primary result codes: the low byte of the extended ones.
func isCode(err error, code int) bool {
	var se *sqlite.Error
	return errors.As(err, &se) && se.Code()&0xff == code
}
