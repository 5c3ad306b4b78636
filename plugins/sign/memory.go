package sign

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/edgehold/edgehold/plugins/store"
)

// memory is what a client keeps between two starts. One file, replaced whole, so that no crash can leave parts of two
// updates; the one before is kept beside it, in case the disk did not keep its promise.
type memory struct {
	Pin      string    `json:"pin"` // digest of the root file that trust began with
	Images   set       `json:"images"`
	Director set       `json:"director"`
	Node     string    `json:"node,omitempty"` // that the director's part is for
	Signed   time.Time `json:"signed"`         // see clock
	Base     time.Time `json:"base"`
	Updated  time.Time `json:"updated"` // by the machine's clock, to be shown only
}

const (
	memoryFile     = "trusted.json"
	beforeSuffix   = ".before"
	memoryHeading  = "edgehold trust 1 "
	maxMemoryBytes = 4 * (maxTargetsBytes + maxSnapshotBytes + maxTimestampBytes + maxRootBytes) // two repositories in base64
)

func (m *memory) save(dir string) error {
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, memoryFile)
	content := append([]byte(memoryHeading+store.Digest(body)+"\n"), body...)
	if err := keepBefore(path); err != nil {
		return err
	}
	return store.ReplaceFile(path, content, 0o600)
}

// keepBefore keeps a sound file under its second name.
func keepBefore(path string) error {
	if _, err := readMemory(path); err != nil {
		return nil // nothing that is worth keeping
	}
	if err := os.Remove(path + beforeSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Link(path, path+beforeSuffix)
}

// recall reads what was kept. lost says what of it was damaged; without any sound file the memory is empty.
func recall(dir string) (m memory, lost string, err error) {
	path := filepath.Join(dir, memoryFile)
	m, err = readMemory(path)
	if err == nil || !errors.As(err, new(damage)) && !errors.Is(err, fs.ErrNotExist) {
		return m, "", err
	}
	first := err
	if m, err = readMemory(path + beforeSuffix); err == nil {
		return m, first.Error() + "; went on from the update before", nil
	}
	if errors.Is(first, fs.ErrNotExist) && errors.Is(err, fs.ErrNotExist) {
		return memory{}, "", nil
	}
	return memory{}, first.Error() + "; began again from the root file, so until the next update older metadata would be believed", nil
}

// damage is a file whose content is not what was written.
type damage string

func (d damage) Error() string { return string(d) }

func readMemory(path string) (m memory, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return m, err
	}
	if info.Size() > maxMemoryBytes {
		return m, damage(fmt.Sprintf("%s is too long", path))
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return m, err
	}
	heading, body, _ := bytes.Cut(raw, []byte("\n"))
	if string(heading) != memoryHeading+store.Digest(body) {
		return m, damage(fmt.Sprintf("%s is damaged", path))
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return memory{}, damage(fmt.Sprintf("%s: %v", path, err))
	}
	return m, nil
}
