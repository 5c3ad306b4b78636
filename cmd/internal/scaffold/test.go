package scaffold

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/edgehold/edgehold/plugins/toolchain"
)

// TestOptions are what Test can vary.
type TestOptions struct {
	// Check judges the built module as a node would. It is skipped when nil.
	Check func(ctx context.Context, module []byte) error
	// Output gets what the tests print; nil discards it.
	Output io.Writer
	Build  BuildOptions
}

// Test runs the project's own tests, then builds the module into a temporary folder and has it checked.
func Test(ctx context.Context, dir string, o TestOptions) error {
	attempt := "test policy in " + dir
	if _, err := readManifest(dir, attempt); err != nil {
		return err
	}
	if o.Build.Language == "" {
		l, err := Language(dir)
		if err != nil {
			return err
		}
		o.Build.Language = l
	}
	if err := ownTests(ctx, o.Build.Language, dir, attempt, o.Output); err != nil {
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

// ownTests runs the tests that the project has beside the module, in the language's own way. Projects in C and AssemblyScript have
// none of that kind.
func ownTests(ctx context.Context, l toolchain.Language, dir, attempt string, output io.Writer) error {
	if l == toolchain.Go || l == toolchain.TinyGo {
		if _, err := goTool(ctx, attempt); err != nil {
			return err
		}
	}
	err := toolchain.Test(ctx, l, dir, output)
	if err == nil || errors.Is(err, toolchain.ErrNoHarness) {
		return nil
	}
	if failed, ok := errors.AsType[*toolchain.Failed](err); ok {
		return &Error{attempt, "scaffold.test", "a test failed", "see what was printed above", failed}
	}
	return explain(ctx, l, attempt, err)
}
