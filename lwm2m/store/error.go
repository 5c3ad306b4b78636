package store

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// What callers branch on.
var (
	ErrFull   = errors.New("the store is full")
	ErrClosed = errors.New("the store is closed")
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

func tooLarge(size int) error {
	return &Error{Code: "lwm2m-store.too-large", What: "store a record", Why: fmt.Sprintf("it has %d bytes, and at most %d are taken", size, maxRecord),
		Hint: "split what is stored"}
}

func full(why string) error {
	return &Error{Code: "lwm2m-store.full", What: "store a record", Why: why,
		Hint: "delete devices that are gone, or raise the bound of the store", Err: ErrFull}
}

func failed(what string, err error) error {
	e := &Error{Code: "lwm2m-store.failed", What: what, Why: "the store's folder could not be used", Hint: "see the log of the machine for failures of its disk", Err: err}
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		e.Code, e.Why, e.Hint = "lwm2m-store.disk-full", "no space is left", "free some space; what waits is written as soon as there is some"
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		e.Code, e.Why, e.Hint = "lwm2m-store.no-rights", "this user may not write there", "run it as the owner of the state folder, or name another folder that is its user's"
	}
	return e
}
