package docs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// patience bounds a document. The longest takes a minute on two slow processors that do nothing else, and many on such that do.
const patience = 20 * time.Minute

// prelude begins every script. A command that goes on until it is interrupted is interrupted when it has printed
// something; "interrupted" is put before it. What the last such command printed is taken away first: the signal would come while
// there is no more of this one than a shell, which may lose it.
const prelude = `set -me
interrupted() {
	: >"$TMPDIR/watched"
	"$@" >"$TMPDIR/watched" &
	until [ -s "$TMPDIR/watched" ]; do kill -0 $!; sleep 0.02; done
	kill -INT $!
	wait $! || [ $? = 130 ]
	cat "$TMPDIR/watched"
}
`

// separator stands at the beginning of the line that says which step's output follows.
const separator = "\x1e"

// ran is a step and what it printed.
type ran struct {
	step
	output string
}

// play runs the steps one after the other in one bash, as a person would type them, and stops at the first that fails.
func (s *stage) play(name string, steps []step) (all []ran, err error) {
	script := []byte(prelude)
	for _, one := range steps {
		script = fmt.Appendf(script, "printf '%s%d\\n'\n%s\n", separator, one.line, one.text)
	}
	out, err := os.Create(filepath.Join(s.dir, "output"))
	if err != nil {
		return nil, err
	}
	defer out.Close()
	path := filepath.Join(s.dir, "script")
	if err := os.WriteFile(path, script, 0o600); err != nil {
		return nil, err
	}
	err = s.bash(path, out)
	text, readErr := os.ReadFile(out.Name())
	if readErr != nil {
		return nil, readErr
	}
	all = outputs(string(text), steps)
	if err != nil && len(all) > 0 {
		last := all[len(all)-1]
		err = fmt.Errorf("%s:%d: %s: %w\n%s", name, last.line, last.text, err, last.output)
	}
	return all, err
}

// bash runs a script to its end. Its output is a file, for a pipe would be held open by what it leaves in the background.
func (s *stage) bash(path string, out *os.File) error {
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	cmd := s.command("exec bash " + path)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { signal(mark(s.dir), syscall.SIGKILL) })
	defer stop()
	err := cmd.Wait()
	if ctx.Err() != nil {
		return fmt.Errorf("the document is not done within %s", patience)
	}
	return err
}

// outputs cuts what a script printed at its separators.
func outputs(text string, steps []step) []ran {
	known := map[int]step{}
	for _, one := range steps {
		known[one.line] = one
	}
	var all []ran
	for part := range strings.SplitSeq(text, separator) {
		number, output, _ := strings.Cut(part, "\n")
		if line, err := strconv.Atoi(number); err == nil {
			all = append(all, ran{known[line], output})
		}
	}
	return all
}
