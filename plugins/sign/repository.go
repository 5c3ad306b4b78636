package sign

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/edgehold/edgehold/plugins/store"
)

// Repository is the operator's side: a folder with what is published, what waits for signatures, and settings, beside a
// folder of keys. Its methods take one step each and write so that a crash leaves the release before or the one after;
// two programs at once wait for each other.
//
//	FOLDER/published/   what nodes read: images/, director/NODE/, modules/
//	FOLDER/staged/      documents that still lack signatures
//	FOLDER/pin.json     what a node's trust begins with
type Repository struct {
	dir, keys string
	now       func() time.Time
	settings  settings
}

// settings are trust.json.
type settings struct {
	Validity Validity `json:"validity"`
}

// Validity is how long documents are good for after they were signed.
type Validity struct {
	Root      Days `json:"root_days"`
	Targets   Days `json:"targets_days"`
	Snapshot  Days `json:"snapshot_days"`
	Timestamp Days `json:"timestamp_days"`
	Director  Days `json:"director_days"` // everything of the director but its root
}

// Days is a number of days.
type Days int

// DefaultValidity suits nodes that are cut off for weeks: what offline keys sign lasts, what an online key signs is to be
// refreshed each week or so.
var DefaultValidity = Validity{Root: 3 * 365, Targets: 365, Snapshot: 90, Timestamp: 30, Director: 30}

func (v Validity) of(repository, role string) time.Duration {
	days := map[string]Days{Root: v.Root, Targets: v.Targets, Snapshot: v.Snapshot, Timestamp: v.Timestamp}[role]
	if repository == Director && role != Root {
		days = v.Director
	}
	return time.Duration(days) * 24 * time.Hour
}

func (v Validity) check() error {
	for _, days := range []Days{v.Root, v.Targets, v.Snapshot, v.Timestamp, v.Director} {
		if days < 1 || days > 100*365 {
			return &Error{Code: CodeRepository, What: "read how long documents are valid", Why: fmt.Sprintf("%d days are out of range", days), Hint: "choose 1 to 36500 days"}
		}
	}
	return nil
}

// The parts of a repository's folder.
const (
	publishedFolder = "published"
	stagedFolder    = "staged"
	settingsFile    = "trust.json"
	pinFileName     = "pin.json"
)

// OpenRepository opens a folder that [Init] made. Keys is the folder of private keys that are at hand; they may be fewer
// than the repository has.
func OpenRepository(dir, keys string, now func() time.Time) (*Repository, error) {
	what := "open the trust folder " + dir
	raw, err := readBelow(dir, settingsFile, maxKeyBytes)
	if err != nil {
		return nil, &Error{Code: CodeRepository, What: what, Why: err.Error(), Hint: "make one with `edgehold trust init`, or name it with --folder", Err: err}
	}
	r := &Repository{dir: dir, keys: keys, now: now}
	if err := json.Unmarshal(raw, &r.settings); err != nil {
		return nil, &Error{Code: CodeRepository, What: what, Why: err.Error(), Hint: "mend trust.json", Err: err}
	}
	return r, r.settings.Validity.check()
}

// Published is the folder that nodes, or a registry, are to be given.
func (r *Repository) Published() string { return filepath.Join(r.dir, publishedFolder) }

// PinPath is the file that nodes' trust begins with.
func (r *Repository) PinPath() string { return filepath.Join(r.dir, pinFileName) }

// folder is where a repository's documents lie; roots of a director lie above its nodes.
func (r *Repository) folder(repository, node, role string) string {
	if role == Root {
		node = ""
	}
	return filepath.Join(r.Published(), repository, node)
}

// exclusively runs f while no other program changes the folder.
func (r *Repository) exclusively(f func() error) error {
	unlock, err := lock(filepath.Join(r.dir, ".lock"))
	if err != nil {
		return r.failed("lock the trust folder", err)
	}
	return errors.Join(f(), unlock())
}

func (r *Repository) failed(what string, err error) error {
	if Code(err) != "" {
		return err
	}
	return &Error{Code: CodeRepository, What: what, Why: err.Error(), Hint: "check the folder " + r.dir, Err: err}
}

// write replaces a file of the folder durably, making folders on the way.
func (r *Repository) write(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return r.failed("write "+path, err)
	}
	if err := store.ReplaceFile(path, content, 0o644); err != nil {
		return r.failed("write "+path, err)
	}
	return nil
}
