package sdf

import (
	"fmt"
	"strings"
)

// Codes of [Error].
const (
	CodeSyntax    = "sdf.syntax"    // neither JSON nor CBOR that SDF allows
	CodeTooLarge  = "sdf.too-large" // beyond a limit, when read or when references multiply it
	CodeSchema    = "sdf.schema"    // against the published schema
	CodeInvalid   = "sdf.invalid"   // against what the schema can't say
	CodeReference = "sdf.reference" // a reference that leads nowhere
	CodeCycle     = "sdf.cycle"     // a definition made of itself
	CodeValue     = "sdf.value"     // data that its definition does not allow
)

// Error says what was attempted and why it failed. Its methods are what a person is shown.
type Error struct {
	Attempt, Code, Why, Hint string
	// Problems are all that was found, if more than one thing can be wrong.
	Problems []Problem
	Err      error
}

// Problem is one thing that is wrong in a document or in data.
type Problem struct {
	At  Pointer
	Why string
}

func (p Problem) String() string {
	if len(p.At) == 0 {
		return p.Why
	}
	return p.At.String() + ": " + p.Why
}

func (e *Error) Error() string { return e.Attempt + ": " + e.Why }
func (e *Error) Unwrap() error { return e.Err }

// ErrorCode is the stable code.
func (e *Error) ErrorCode() string { return e.Code }

// ErrorWhy is the cause.
func (e *Error) ErrorWhy() string { return e.Why }

// ErrorHint says what to do.
func (e *Error) ErrorHint() string { return e.Hint }

// maxProblems bounds what one error tells.
const maxProblems = 20

// problems makes an error of what was found, or nil.
func problems(attempt, code, hint string, found []Problem) error {
	if len(found) == 0 {
		return nil
	}
	texts := make([]string, 0, maxProblems)
	for _, p := range found[:min(len(found), maxProblems)] {
		texts = append(texts, p.String())
	}
	if more := len(found) - len(texts); more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", more))
	}
	return &Error{Attempt: attempt, Code: code, Why: strings.Join(texts, "; "), Hint: hint, Problems: found}
}
