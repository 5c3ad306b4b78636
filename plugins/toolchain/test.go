package toolchain

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// ErrNoHarness says that policies in a language run as modules only.
var ErrNoHarness = errors.New("this language has no tests that run without Wasm")

// Test runs the project's own tests, as programs of this machine. What they print goes to output, which may be nil. The errors
// are [ErrNoHarness], [*Missing], and [*Failed] when a test fails.
func Test(ctx context.Context, l Language, dir string, output io.Writer) error {
	var c *exec.Cmd
	switch l {
	case Go, TinyGo: // the tests are ordinary Go, whatever builds the module
		tool, err := findGo()
		if err != nil {
			return err
		}
		c = exec.CommandContext(ctx, tool, "test", "./...")
		c.Env = append(os.Environ(), goEnvironment...)
	case Rust:
		tool, err := FindCargo()
		if err != nil {
			return err
		}
		c = exec.CommandContext(ctx, tool, "test", "--offline", "--locked")
		c.Env = append(os.Environ(), cargoTarget()...)
	default:
		return ErrNoHarness
	}
	c.Dir, c.Stdout, c.Stderr = dir, output, output
	if err := c.Run(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return &Failed{l, "see what the tests printed", err}
	}
	return nil
}

// cargoTarget has what is compiled kept in the user's cache folder, for all projects, unless CARGO_TARGET_DIR says otherwise.
func cargoTarget() []string {
	if os.Getenv("CARGO_TARGET_DIR") != "" || Folder() == "" {
		return nil
	}
	return []string{"CARGO_TARGET_DIR=" + filepath.Join(Folder(), "cargo")}
}
