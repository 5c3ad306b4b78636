package client

import (
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/edgehold/edgehold/lwm2m/durable"
)

// Store keeps small named documents over a loss of power: what bootstrap wrote, attributes, tables. A document is replaced as a whole or
// not at all.
type Store interface {
	// Load returns a document; an error that is fs.ErrNotExist if there is none.
	Load(name string) ([]byte, error)
	// Save replaces a document; when it returns, the document has survived.
	Save(name string, document []byte) error
}

// Folder is a Store of files in a folder, which exists.
type Folder string

// maxDocument bounds what is loaded, so that a damaged file system cannot fill the memory.
const maxDocument = 1 << 20

// Load reads a file of the folder.
func (f Folder) Load(name string) ([]byte, error) {
	file, err := f.file(name)
	if err != nil {
		return nil, err
	}
	document, err := durable.Read(file, maxDocument)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", name, err)
	}
	return document, nil
}

// Save writes a new file beside the old one, flushes it, and renames it over the old one.
func (f Folder) Save(name string, document []byte) error {
	file, err := f.file(name)
	if err != nil {
		return err
	}
	if err := durable.Replace(file, document); err != nil {
		return fmt.Errorf("save %s: %w", name, err)
	}
	return nil
}

func (f Folder) file(name string) (string, error) {
	if !filepath.IsLocal(name) || filepath.Base(name) != name {
		return "", fmt.Errorf("document %q: %w", name, fs.ErrInvalid)
	}
	return filepath.Join(string(f), name), nil
}
