package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"strings"

	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// Codes of this package's errors.
const (
	CodeReference   = "registry.bad-reference"
	CodeConfig      = "registry.bad-configuration"
	CodeNotFound    = "registry.not-found"
	CodeDenied      = "registry.denied"
	CodeUnreachable = "registry.unreachable"
	CodeStalled     = "registry.stalled"
	CodeRedirect    = "registry.bad-redirect"
	CodeMismatch    = "registry.mismatch"
	CodeTaken       = "registry.tag-taken"
	CodeFailed      = "registry.failed"
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

// explain gives an error of a transfer its code and hint. One that has a code keeps it.
func explain(what string, err error) error {
	var coded interface{ ErrorCode() string }
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	if errors.As(err, &coded) {
		return fmt.Errorf("%s: %w", what, err)
	}
	e := &Error{What: what, Err: err, Code: CodeFailed, Why: clip(err.Error()), Hint: "see what the registry says, and try again"}
	var answer *errcode.ErrorResponse
	var network net.Error
	switch {
	case errors.Is(err, errdef.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		e.Code, e.Why, e.Hint = CodeNotFound, "there is none", "see what there is with `edgehold registry list`"
		e.Err = errors.Join(fs.ErrNotExist, err)
	case errors.As(err, &answer) && (answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden):
		e.Code, e.Hint = CodeDenied, "check the credentials for this registry, and what they allow"
	case errors.Is(err, auth.ErrBasicCredentialNotFound):
		e.Code, e.Why, e.Hint = CodeDenied, "it wants credentials, and none are known for it", "add them to the file that registry.credentials names"
	case errors.Is(err, errdef.ErrSizeExceedsLimit):
		e.Code, e.Hint = CodeMismatch, "the registry sends more than it should"
	case errors.As(err, &network):
		e.Code, e.Hint = CodeUnreachable, "check the name, the network, and the certificates (registry.ca)"
	}
	return e
}

// clip keeps what strangers wrote short, and on one line.
func clip(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	if len(s) > 300 {
		return s[:300] + "..."
	}
	return s
}
