package scaffold

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// TestOptions are what Test can vary.
type TestOptions struct {
	// Check judges the built module as a node would. It is skipped when nil.
	Check func(ctx context.Context, module []byte) error
	// Output gets what `go test` prints; nil discards it.
	Output io.Writer
	Build  BuildOptions
}

// Test runs the project's own tests, then builds the module into a temporary folder and has it checked.
func Test(ctx context.Context, dir string, o TestOptions) error {
	attempt := "test policy in " + dir
	if _, err := readManifest(dir, attempt); err != nil {
		return err
	}
	if err := goTest(ctx, dir, attempt, o.Output); err != nil {
		return err
	}
	temporary, err := os.MkdirTemp("", "edgehold-test-")
	if err != nil {
		return &Error{attempt, "scaffold.write", err.Error(), "check the space in the folder for temporary files", err}
	}
	defer os.RemoveAll(temporary)
	built, err := Build(ctx, dir, filepath.Join(temporary, "policy.wasm"), o.Build)
	if err != nil || o.Check == nil {
		return err
	}
	module, err := os.ReadFile(built.Path)
	if err != nil {
		return err
	}
	return o.Check(ctx, module)
}

func goTest(ctx context.Context, dir, attempt string, output io.Writer) error {
	tool, err := goTool(ctx, attempt)
	if err != nil {
		return err
	}
	c := exec.CommandContext(ctx, tool, "test", "./...")
	c.Dir, c.Env = dir, goEnvironment()
	c.Stdout, c.Stderr = output, output
	if err := c.Run(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return &Error{attempt, "scaffold.test", "a test failed", "see what go test printed", err}
	}
	return nil
}
