package plugins

import (
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong in a policy.yaml.
type Problem struct {
	Line  int    // 1 for the first; 0 when it could not be told
	Field string // "metrics[2].reduce"; empty for a syntax error
	Code  string // stable, for example "manifest.unknown-field"
	What  string
	Hint  string
}

func (p Problem) String() string {
	var b strings.Builder
	if p.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", p.Line)
	}
	if p.Field != "" {
		b.WriteString(p.Field + " ")
	}
	return b.String() + p.What
}

// FileError lists every problem of a policy.yaml, in the order of its lines.
type FileError struct{ Problems []Problem }

// Error has a line for each problem.
func (e *FileError) Error() string {
	if len(e.Problems) == 1 {
		return "read policy.yaml: " + e.Problems[0].String()
	}
	return "read policy.yaml:\n  " + strings.Join(e.lines(), "\n  ")
}

func (e *FileError) lines() []string {
	var all []string
	for _, p := range e.Problems {
		all = append(all, p.String())
	}
	return all
}

// ErrorCode is the code of the only problem, or "manifest.invalid".
func (e *FileError) ErrorCode() string {
	if len(e.Problems) == 1 {
		return e.Problems[0].Code
	}
	return "manifest.invalid"
}

// ErrorWhy lists the problems on one line.
func (e *FileError) ErrorWhy() string { return strings.Join(e.lines(), "; ") }

// ErrorHint lists the hints, each once.
func (e *FileError) ErrorHint() string {
	var all []string
	for _, p := range e.Problems {
		if p.Hint != "" && !slices.Contains(all, p.Hint) {
			all = append(all, p.Hint)
		}
	}
	return strings.Join(all, "; ")
}
