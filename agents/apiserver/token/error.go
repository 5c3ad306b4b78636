package token

import (
	"errors"
	"io/fs"
	"path/filepath"
	"syscall"
)

// Error says why a token could not be kept.
type Error struct {
	Code, What, Why, Hint string
	Err                   error
}

func (e *Error) Error() string { return e.What + ": " + e.Why }

// Unwrap returns what it came from.
func (e *Error) Unwrap() error { return e.Err }

// ErrorCode is the stable code.
func (e *Error) ErrorCode() string { return e.Code }

// ErrorWhy is the cause.
func (e *Error) ErrorWhy() string { return e.Why }

// ErrorHint says what to do.
func (e *Error) ErrorHint() string { return e.Hint }

// explain says in words what the file system did not allow.
func explain(path string, err error) *Error {
	e := &Error{Code: "token.io", Why: err.Error(), Hint: "look at the file and its folder", Err: err}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.Code, e.Why, e.Hint = "token.no-folder", "its folder does not exist", "make it: mkdir -p "+filepath.Dir(path)
	case errors.Is(err, fs.ErrPermission):
		e.Code, e.Why, e.Hint = "token.forbidden", "you may not write it", "run the command as the file's owner, or name another with --file"
	case errors.Is(err, syscall.EISDIR):
		e.Code, e.Why, e.Hint = "token.not-a-file", "it is a folder", "name a file with --file"
	case errors.Is(err, syscall.ENOSPC):
		e.Code, e.Why, e.Hint = "token.disk-full", "no space is left", "free some space and try again"
	}
	return e
}
