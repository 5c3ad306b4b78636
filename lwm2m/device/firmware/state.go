package firmware

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"time"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/client"
)

// State is resource 3.
type State int64

const (
	Idle State = iota
	Downloading
	Downloaded
	Updating
)

// Result is resource 5: how the last update, or the attempt at one, ended.
type Result int64

const (
	Initial Result = iota
	Success
	NoStorage
	NoMemory
	ConnectionLost
	BadIntegrity
	BadType
	BadURI
	Failed
	BadProtocol
	Cancelled
	Deferred
)

// record is what survives a loss of power; the part of an image that has arrived is in its own file.
type record struct {
	State   State     `json:"state"`
	Result  Result    `json:"result"`
	Changed time.Time `json:"changed"` // when State last did
	URI     string    `json:"uri,omitempty"`
	Name    string    `json:"name,omitempty"` // of the image, once it is verified
	Version string    `json:"version,omitempty"`
	Counter uint64    `json:"counter,omitempty"`

	// Counters are the highest that has run, by name. What ran before an image does not come back in its place.
	Counters map[string]uint64 `json:"counters,omitempty"`

	Severity  int64  `json:"severity"`
	MaxDefer  uint64 `json:"maxDefer,omitempty"` // seconds
	Automatic bool   `json:"automatic,omitempty"`
}

const document = "firmware"

func load(s client.Store) (record, error) {
	var r record
	b, err := s.Load(document)
	if errors.Is(err, fs.ErrNotExist) {
		return record{Severity: 1}, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err != nil {
		return r, fmt.Errorf("load state of the firmware update: %w", err)
	}
	return r, nil
}

// keep makes a record count, once it survives.
func (u *Update) keep(next record) error {
	if next.State != u.record.State {
		next.Changed = u.config.Now()
	}
	b, err := json.Marshal(next)
	if err != nil {
		return fmt.Errorf("keep state of the firmware update: %w", err)
	}
	if err := u.config.Store.Save(document, b); err != nil {
		return fmt.Errorf("keep state of the firmware update: %w: %w", err, client.ErrUnavailable)
	}
	u.record = next
	u.announce(lwm2m.PathOf(5, 0))
	return nil
}

// move goes to another state; what belonged to the image that is given up goes with it.
func (u *Update) move(s State, r Result) error {
	next := u.record
	next.State, next.Result = s, r
	if s == Idle {
		next.URI = ""
		if r != Success {
			next.Name, next.Version = "", ""
		} else if next.Counter > next.Counters[next.Name] {
			next.Counters = maps.Clone(next.Counters) // the record that counts until the next is kept has the other
			if next.Counters == nil {
				next.Counters = map[string]uint64{}
			}
			next.Counters[next.Name] = next.Counter
		}
		next.Counter = 0
	}
	return u.keep(next)
}

// maxNames bounds the names that counters are kept of. A board has one, or one for each of its processors.
const maxNames = 32

// admits refuses an image that is older than what has run.
func (r *record) admits(i Image) error {
	highest, known := r.Counters[i.Name]
	switch {
	case i.Counter < highest:
		return fmt.Errorf("%w: the counter of %s %s is %d, and %d has run", ErrType, i.Name, i.Version, i.Counter, highest)
	case !known && i.Counter > 0 && len(r.Counters) >= maxNames:
		return fmt.Errorf("%w: %s is one name too many, there are %d", ErrType, i.Name, maxNames)
	}
	return nil
}
