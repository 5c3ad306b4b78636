package state

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const digestPrefix = "sha256:"

// Digest returns the name of a module: "sha256:" and 64 hexadecimal digits.
func Digest(module []byte) string {
	sum := sha256.Sum256(module)
	return digestPrefix + hex.EncodeToString(sum[:])
}

func (d *DB) blobPath(digest string) (string, error) {
	h, ok := strings.CutPrefix(digest, digestPrefix)
	if raw, err := hex.DecodeString(h); !ok || err != nil || len(raw) != sha256.Size {
		return "", &Error{Code: "module.bad-digest", What: fmt.Sprintf("find module %q", digest),
			Why: "that is no digest", Hint: "digests look like sha256:0f3a..."}
	}
	return d.path(modulesDir, "sha256-"+h+".wasm"), nil
}

// Module returns an accepted module, having checked that the disk gave back what
// it was given.
func (d *DB) Module(digest string) ([]byte, error) {
	path, err := d.blobPath(digest)
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, unknown("module.not-found", "module "+digest)
	}
	if err != nil {
		return nil, Explain("read module "+digest, err)
	}
	if Digest(b) != digest {
		return nil, &Error{Code: "module.damaged", What: "read module " + digest,
			Why: "its content has changed on the disk", Hint: "upload it again and check the disk"}
	}
	return b, nil
}

func (d *DB) writeBlob(module []byte) (digest string, err error) {
	digest = Digest(module)
	path, err := d.blobPath(digest)
	if err != nil {
		return "", err
	}
	if kept, err := os.ReadFile(path); err == nil && Digest(kept) == digest {
		return digest, nil
	}
	return digest, writeDurably(path, module)
}

const tempPattern = ".new-*"

// writeDurably replaces a file so that a crash leaves the old or the new one,
// and returns when the new one would survive it.
func writeDurably(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), tempPattern)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone already if all went well
	_, err = f.Write(content)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
