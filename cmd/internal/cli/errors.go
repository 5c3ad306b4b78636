package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/edgehold/edgehold/agents/api"
)

// UsageError says that a command was not given as it must be.
type UsageError struct{ Attempt, Why, Hint string }

func (e *UsageError) Error() string   { return e.Attempt + ": " + e.Why }
func (*UsageError) ErrorCode() string { return "cli.usage" }

// ErrorWhy is the cause.
func (e *UsageError) ErrorWhy() string { return e.Why }

// ErrorHint says what to do.
func (e *UsageError) ErrorHint() string { return e.Hint }

// Failure is what a command found out by itself, with the parts that a person needs.
type Failure struct{ Attempt, Code, Why, Hint string }

func (e *Failure) Error() string { return e.Attempt + ": " + e.Why }

// ErrorCode is the stable code.
func (e *Failure) ErrorCode() string { return e.Code }

// ErrorWhy is the cause.
func (e *Failure) ErrorWhy() string { return e.Why }

// ErrorHint says what to do.
func (e *Failure) ErrorHint() string { return e.Hint }

// PrintError writes the four parts of an error: what was attempted, why it failed, what to do, and the code. A part that
// the error does not have is left out.
func PrintError(w io.Writer, program string, err error, color bool) {
	what, why := err.Error(), part(err, func(e interface{ ErrorWhy() string }) string { return e.ErrorWhy() })
	if before, _, found := strings.Cut(what, ": "+why); found && why != "" {
		what = before
	}
	head := program + ":"
	if color {
		head = red + head + plain
	}
	fmt.Fprintln(w, head, cleanLines(what, "  "))
	for _, line := range []struct{ label, text string }{
		{"why", why},
		{"do", part(err, func(e interface{ ErrorHint() string }) string { return e.ErrorHint() })},
		{"code", Code(err)},
	} {
		if line.text != "" {
			fmt.Fprintf(w, "  %-5s %s\n", line.label+":", cleanLines(line.text, "        "))
		}
	}
	printFields(w, err, why)
}

// cleanLines cleans each line and indents all but the first.
func cleanLines(text, indent string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i, line := range lines {
		lines[i] = Clean(line)
	}
	return strings.Join(lines, "\n"+indent)
}

// printFields writes what is wrong with a request beyond the cause that was named.
func printFields(w io.Writer, err error, why string) {
	var p *api.Problem
	if !errors.As(err, &p) {
		return
	}
	for _, field := range p.Errors {
		if text := strings.TrimSpace(field.Location + " " + field.Message); text != why {
			fmt.Fprintf(w, "  also: %s\n", Clean(text))
		}
	}
}

// Code returns an error's stable code, or "".
func Code(err error) string {
	return part(err, func(e interface{ ErrorCode() string }) string { return e.ErrorCode() })
}

// part finds one of an error's optional methods.
func part[I any](err error, call func(I) string) string {
	var found I
	if errors.As(err, &found) {
		return call(found)
	}
	return ""
}
