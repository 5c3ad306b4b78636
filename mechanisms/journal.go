package mechanisms

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Names in the state folder.
const (
	journalFile = "journal.json" // old values of what we have touched, durable
	journalCopy = "journal.copy" // the same once more, for the day the first can't be read
	leaseFile   = "leases.json"  // who holds what until when
	lockFile    = "lock"         // held by the supervisor that owns the folder
)

// Baseline is the value that a knob had before we touched it in this boot.
type Baseline struct {
	Mechanism string    `json:"mechanism"`
	Driver    string    `json:"driver"` // of the knob, see [Knob.Driver]
	Knob      string    `json:"knob"`
	Value     Value     `json:"value"`
	Taken     time.Time `json:"taken"`
}

// journalBody is what the journal file holds.
type journalBody struct {
	Format  int        `json:"format"`
	BootID  string     `json:"boot_id"`
	Entries []Baseline `json:"entries"`
}

// leaseBody is what the lease file holds.
type leaseBody struct {
	Format int    `json:"format"`
	BootID string `json:"boot_id"`
	Leases leases `json:"leases"`
}

const stateFormat = 1

// journal is the durable memory in a state folder: old values and leases.
type journal struct {
	dir     string
	bootID  string
	entries []Baseline
	now     func() time.Time
	probe   func(string)
	look    bool // only look: someone else owns the folder
}

func (j *journal) find(mechanism, knob string) *Baseline {
	for i := range j.entries {
		if j.entries[i].Mechanism == mechanism && j.entries[i].Knob == knob {
			return &j.entries[i]
		}
	}
	return nil
}

// add makes the entries durable. When it fails the journal is as before.
func (j *journal) add(more []Baseline) error {
	if len(more) == 0 {
		return nil
	}
	old := j.entries
	j.entries = append(slices.Clip(slices.Clone(old)), more...)
	if err := j.save(true); err != nil {
		j.entries = old
		return err
	}
	return nil
}

// remove forgets the entries of knobs that are back at their old value.
func (j *journal) remove(mechanism string, knobs []string) error {
	kept := slices.DeleteFunc(slices.Clone(j.entries), func(b Baseline) bool {
		return b.Mechanism == mechanism && slices.Contains(knobs, b.Knob)
	})
	if len(kept) == len(j.entries) {
		return nil
	}
	j.entries = kept
	return j.save(false)
}

// save writes both files. Durable means that the first is on disk before this returns; forgetting needs no such care.
func (j *journal) save(durable bool) error {
	if j.look {
		return nil
	}
	body := journalBody{Format: stateFormat, BootID: j.bootID, Entries: j.entries}
	if err := writeSealed(filepath.Join(j.dir, journalFile), body, durable, j.probe); err != nil {
		return fmt.Errorf("write %s: %w", journalFile, err)
	}
	if err := writeSealed(filepath.Join(j.dir, journalCopy), body, false, j.probe); err != nil {
		return fmt.Errorf("write %s: %w", journalCopy, err)
	}
	return nil
}

func (j *journal) saveLeases(ls leases) error {
	if j.look {
		return nil
	}
	body := leaseBody{Format: stateFormat, BootID: j.bootID, Leases: ls}
	if err := writeSealed(filepath.Join(j.dir, leaseFile), body, false, j.probe); err != nil {
		return fmt.Errorf("write %s: %w", leaseFile, err)
	}
	return nil
}

// finding is something that load has to tell.
type finding struct {
	kind, reason string
}

// load reads the folder. Files of another boot are dropped: the machine has forgotten our values by itself. Files
// that can't be believed are set aside under another name, never deleted.
func (j *journal) load() (leases, []finding, error) {
	var notes []finding
	body, from, err := j.loadEntries(&notes)
	if err != nil {
		return leases{}, notes, err
	}
	if from != "" && body.BootID != j.bootID {
		notes = append(notes, finding{EventForeign, fmt.Sprintf("%d old values belong to boot %s and are dropped", len(body.Entries), body.BootID)})
		return leases{}, notes, nil
	}
	j.entries = body.Entries
	ls, err := j.loadLeases(&notes)
	return ls, notes, err
}

func (j *journal) loadEntries(notes *[]finding) (body journalBody, from string, err error) {
	for _, name := range []string{journalFile, journalCopy} {
		full := filepath.Join(j.dir, name)
		var b journalBody
		err := readSealed(full, &b)
		switch {
		case err == nil && b.Format == stateFormat:
			return b, name, nil
		case errors.Is(err, fs.ErrNotExist):
		case err == nil || errors.Is(err, errCorrupt):
			*notes = append(*notes, j.setAside(full, err))
		default:
			return body, "", fmt.Errorf("read %s: %w", name, err)
		}
	}
	return body, "", nil
}

func (j *journal) loadLeases(notes *[]finding) (leases, error) {
	full := filepath.Join(j.dir, leaseFile)
	var b leaseBody
	err := readSealed(full, &b)
	switch {
	case err == nil && b.Format == stateFormat && b.BootID == j.bootID && b.sound():
		return b.Leases, nil
	case err == nil && b.BootID != j.bootID, errors.Is(err, fs.ErrNotExist):
		return leases{}, nil
	case err == nil || errors.Is(err, errCorrupt):
		*notes = append(*notes, j.setAside(full, err))
		return leases{}, nil
	}
	return leases{}, fmt.Errorf("read %s: %w", leaseFile, err)
}

func (b leaseBody) sound() bool { return !slices.Contains(b.Leases.List, nil) }

func (j *journal) setAside(name string, cause error) finding {
	if cause == nil {
		cause = errors.New("its format is not ours")
	}
	if j.look {
		return finding{EventDamaged, fmt.Sprintf("%s: %v", filepath.Base(name), cause)}
	}
	aside := fmt.Sprintf("%s.damaged-%d", name, j.now().UnixNano())
	if err := os.Rename(name, aside); err != nil {
		return finding{EventDamaged, fmt.Sprintf("%s: %v; it can't be set aside: %v", filepath.Base(name), cause, err)}
	}
	return finding{EventDamaged, fmt.Sprintf("%s: %v; kept as %s", filepath.Base(name), cause, filepath.Base(aside))}
}
