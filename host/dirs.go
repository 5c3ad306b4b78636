package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// directories are the parts of Config.CacheDir.
type directories struct {
	engine    string // machine code, kept by wazero
	artefacts string // frozen modules and images, kept by us
	code      string // what of the machine code is mapped
}

func (d directories) cached() bool { return d.engine != "" }

// openDirectories creates what is missing and refuses what others may write to.
func openDirectories(root string) (directories, error) {
	if root == "" {
		return directories{}, nil
	}
	d := directories{engine: filepath.Join(root, "engine"), artefacts: filepath.Join(root, "artefacts"),
		code: filepath.Join(root, "code")}
	for _, dir := range []string{root, d.engine, d.artefacts, d.code} {
		if err := openPrivate(dir); err != nil {
			return directories{}, fmt.Errorf("open the cache directory: %w", err)
		}
	}
	return d, nil
}

// forgetMachineCode removes what the engine has kept. The folder in between carries the engine's version.
func (d directories) forgetMachineCode() error {
	files, err := filepath.Glob(filepath.Join(d.engine, "*", "*"))
	for _, file := range files {
		if e := os.Remove(file); !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}

func openPrivate(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	return checkPrivate(dir, info)
}
