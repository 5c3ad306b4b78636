package toolchain

import "os/exec"

// Missing says that a language can't be built here. It is an [exec.ErrNotFound].
type Missing struct {
	Language Language
	Tool     string // what was not found
	Hint     string // how to get it
}

// Error says what is missing.
func (e *Missing) Error() string { return "build " + string(e.Language) + ": there is no " + e.Tool }

// ErrorCode is stable: "toolchain.missing".
func (e *Missing) ErrorCode() string { return "toolchain.missing" }

// ErrorWhy names the tool.
func (e *Missing) ErrorWhy() string { return "there is no " + e.Tool }

// ErrorHint says how to get it.
func (e *Missing) ErrorHint() string { return e.Hint }

func (e *Missing) Unwrap() error { return exec.ErrNotFound }

// Failed says that a compiler refused a project.
type Failed struct {
	Language Language
	Output   string // what the compiler printed
	Err      error
}

// Error has the compiler's words.
func (e *Failed) Error() string {
	return "build " + string(e.Language) + ": " + e.Err.Error() + "\n" + e.Output
}

// ErrorCode is stable: "toolchain.failed".
func (e *Failed) ErrorCode() string { return "toolchain.failed" }

// ErrorWhy has the compiler's words.
func (e *Failed) ErrorWhy() string { return "the compiler refused the sources:\n" + e.Output }

// ErrorHint says what to do.
func (e *Failed) ErrorHint() string { return "correct the lines that it names" }

func (e *Failed) Unwrap() error { return e.Err }
