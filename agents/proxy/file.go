package proxy

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/edgehold/edgehold/plugins/store"
)

// maxFile bounds the file of knobs that were seen.
const maxFile = 16 << 20

// load reads the knobs of devices that were seen; a file that is not there, or no longer whole, is as good as empty: devices tell again.
func load(file string) (map[string][]knob, error) {
	if file == "" {
		return nil, nil
	}
	about, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read devices that were seen: %w", err)
	}
	if about.Size() > maxFile {
		return nil, nil
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read devices that were seen: %w", err)
	}
	var known map[string][]knob
	if json.Unmarshal(raw, &known) != nil {
		return nil, nil
	}
	return known, nil
}

// saveChanges keeps what has changed since the last time.
func (p *Proxy) saveChanges() {
	if p.unsaved.Swap(false) {
		p.save()
	}
}

// save keeps them. That it fails is no reason to stop: the next change tries again.
func (p *Proxy) save() {
	if p.config.File == "" {
		return
	}
	known := map[string][]knob{}
	for _, d := range p.all() {
		d.mu.Lock()
		if len(d.knobs) > 0 {
			known[d.endpoint] = append([]knob(nil), d.knobs...)
		}
		d.mu.Unlock()
	}
	p.saving.Lock()
	defer p.saving.Unlock()
	if err := replace(p.config.File, known); err != nil {
		p.config.Logger.Warn("devices that were seen can't be kept", "error", err)
	}
}

// replace writes the file anew. The daemon's guard, a process of its own, keeps the same one.
func replace(file string, known map[string][]knob) error {
	raw, err := json.Marshal(known)
	if err != nil {
		return err
	}
	return store.ReplaceFile(file, raw, 0o600)
}
