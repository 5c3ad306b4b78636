package cli

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// IsTerminal reports whether w is a terminal.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// AllowsColor reports whether w may get colour.
func AllowsColor(w io.Writer, getenv func(string) string) bool {
	return IsTerminal(w) && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
}

// Progress says what a command is waiting for. It is silent unless it writes to a terminal.
type Progress struct {
	w      io.Writer
	silent bool
}

// NewProgress returns a progress line on w.
func NewProgress(w io.Writer) *Progress { return &Progress{w: w, silent: !IsTerminal(w)} }

// Step replaces the line.
func (p *Progress) Step(format string, args ...any) {
	if !p.silent {
		fmt.Fprintf(p.w, "\r\x1b[K%s", Clean(fmt.Sprintf(format, args...)))
	}
}

// Done takes the line away.
func (p *Progress) Done() {
	if !p.silent {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
