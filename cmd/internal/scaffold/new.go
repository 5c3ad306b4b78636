package scaffold

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/edgehold/edgehold/plugins/toolchain"
	"github.com/edgehold/edgehold/wasmabi"
)

// GoVersion is the oldest Go that builds a policy: the first with go:wasmexport.
const GoVersion = "1.24"

// Options are what New can vary.
type Options struct {
	Language toolchain.Language // when empty, Go for a policy, and TinyGo for a workload
	Module   string             // path of the Go module; the policy's name when empty
	Workload bool               // for a device, in place of a policy
}

// New writes the project of a policy or a workload into dir, which must be missing or empty. It builds and tests without a network, since the SDK
// is part of it; only the compiler of AssemblyScript has to be fetched once.
func New(dir, name string, o Options) error {
	attempt := "write policy project " + dir
	if !wasmabi.IsName(name) {
		return &Error{attempt, "scaffold.name", "the name " + name + " can't name a policy",
			"use lower case letters, digits and dashes, a letter first", nil}
	}
	files, err := project(name, o)
	if err != nil {
		return err
	}
	if err := makeEmpty(dir, attempt); err != nil {
		return err
	}
	for path, content := range files {
		if err := write(filepath.Join(dir, filepath.FromSlash(path)), content); err != nil {
			return &Error{attempt, "scaffold.write", err.Error(), "check the folder's rights and the space on its disk", err}
		}
	}
	return nil
}

func makeEmpty(dir, attempt string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = os.MkdirAll(dir, 0o755)
	case err == nil && len(entries) > 0:
		return &Error{attempt, "scaffold.exists", "the folder is not empty", "name a folder that does not exist yet", nil}
	}
	if err != nil {
		return &Error{attempt, "scaffold.write", err.Error(), "name a folder that can be made", err}
	}
	return nil
}

func write(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o644)
}
