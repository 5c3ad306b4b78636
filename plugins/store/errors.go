package store

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// What callers tell apart. Every one comes wrapped in an [Error].
var (
	ErrNotFound  = errors.New("not found")
	ErrBadDigest = errors.New("not a digest")
	ErrDamaged   = errors.New("damaged on the disk")
	ErrMismatch  = errors.New("content is not what its digest says")
	ErrQuota     = errors.New("quota is used up")
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
func (e *Error) Error() string { return e.What + ": " + e.Why }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ErrorCode returns the stable code.
func (e *Error) ErrorCode() string { return e.Code }

// ErrorWhy returns the cause in words.
func (e *Error) ErrorWhy() string { return e.Why }

// ErrorHint says what to do about it.
func (e *Error) ErrorHint() string { return e.Hint }

// explain gives an error of the file system its code and hint.
func explain(what string, err error) error {
	var ours *Error
	if err == nil || errors.As(err, &ours) {
		return err
	}
	e := &Error{What: what, Err: err, Code: "store.failed", Why: err.Error(), Hint: "see the log of the machine for failures of its disk"}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.Code, e.Why, e.Hint = "store.not-found", "there is none", "pull or upload it"
		e.Err = errors.Join(ErrNotFound, err)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		e.Code, e.Why, e.Hint = "store.disk-full", "no space is left", "free some space; nothing that was stored is lost"
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		e.Code, e.Why, e.Hint = "store.read-only", "the folder can't be written", "mount it writable and give it to this program's user"
	}
	return e
}

func mismatch(digest, got string) error {
	return &Error{Code: "store.mismatch", What: "store " + digest, Why: "what came has the digest " + got,
		Hint: "whoever sent it lies, or the transfer was damaged: fetch it again from a source that you trust", Err: ErrMismatch}
}

func tooLong(digest string, bytes int64) error {
	return &Error{Code: "store.mismatch", What: "store " + digest, Why: fmt.Sprintf("more came than the %d bytes that were announced", bytes),
		Hint: "whoever sent it lies about the length", Err: ErrMismatch}
}
