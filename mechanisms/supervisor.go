package mechanisms

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Supervisor is the one writer of all knobs on a machine. Its methods may be called from several goroutines.
//
// Life cycle: [NewSupervisor] takes the state folder; [Supervisor.Register] adds a driver and settles what an
// earlier process has left; [Supervisor.Run] ends leases and watches for drift until its context is done;
// [Supervisor.Close] follows the exit policy and gives the folder back.
type Supervisor struct {
	cfg   Config
	lock  *os.File // held as long as we are the writer; nil for one that only looks, see Overdue
	kick  chan struct{}
	probe func(string)

	mu      sync.Mutex
	drives  []*drive
	journal journal
	leases  leases
	pacer   pacer
	audit   audit
	stopped string // why nothing may be written; empty = it may
	closed  bool
}

// drive is a registered driver with what the supervisor remembers about it.
type drive struct {
	Driver
	desc   Description
	knobs  map[string]Knob
	listed time.Duration // uptime when knobs was read
	stale  bool

	pending []string      // knobs that wait to be put back
	retryAt time.Duration // uptime of the next attempt
	pause   time.Duration // before it

	patience time.Duration   // with one call of the driver
	hangs    <-chan struct{} // closed when a call that was left behind returns; nil if none was
}

// knobsFresh is how long a list of knobs is believed. What changes in between is found by reading back.
const knobsFresh = 2 * time.Second

// NewSupervisor takes the state folder and reads what an earlier process has left there. It writes to no knob.
func NewSupervisor(c Config) (*Supervisor, error) {
	s, err := newSupervisor(c)
	if err != nil {
		return nil, err
	}
	if err := s.takeFolder(); err != nil {
		return nil, err
	}
	if err := s.load(); err != nil {
		s.lock.Close()
		return nil, err
	}
	s.record(Event{Kind: EventStarted, Reason: fmt.Sprintf("%d old values and %d leases found", len(s.journal.entries), len(s.leases.List))})
	return s, nil
}

func newSupervisor(c Config) (*Supervisor, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c.setDefaults()
	if c.BootID == "" {
		id, err := BootID("/")
		if err != nil {
			return nil, err
		}
		c.BootID = id
	}
	s := &Supervisor{cfg: c, kick: make(chan struct{}, 1), probe: func(string) {}}
	s.journal = journal{dir: c.Dir, bootID: c.BootID, now: c.Clock.Now, probe: func(at string) { s.probe(at) }}
	s.audit = audit{dir: c.Dir, maxBytes: c.AuditBytes, now: c.Clock.Now}
	return s, nil
}

func (s *Supervisor) takeFolder() error {
	if err := os.MkdirAll(s.cfg.Dir, 0o700); err != nil {
		return &Error{Code: CodeJournal, Op: "create state folder " + s.cfg.Dir, Why: "the system refuses", Hint: "choose a folder that this user may write", Err: err}
	}
	f, err := lockPatiently(filepath.Join(s.cfg.Dir, lockFile), s.cfg.LockPatience)
	if errors.Is(err, errLocked) {
		return &Error{Code: CodeBusy, Op: "take state folder " + s.cfg.Dir, Why: "another daemon, or its guard, is at work there", Hint: "stop it, or wait until it is done", Err: err}
	}
	if err != nil {
		return &Error{Code: CodeJournal, Op: "take state folder " + s.cfg.Dir, Why: "its lock file can't be written", Hint: "check that this user may write there and that the file system is not read-only", Err: err}
	}
	s.lock = f
	s.sign()
	return nil
}

// sign puts our name into the lock file, so that a guard can tell the daemon that it knew from the next.
func (s *Supervisor) sign() {
	name := fmt.Sprintf("%s %d %d", s.cfg.Actor, os.Getpid(), s.cfg.Clock.Uptime())
	err := s.lock.Truncate(0)
	if err == nil {
		_, err = s.lock.WriteAt([]byte(name), 0)
	}
	if err != nil {
		s.cfg.Logger.Warn("sign lock file", "error", err) // on a full disk, say; what is held must go back all the same
	}
}

func (s *Supervisor) load() error {
	ls, notes, err := s.journal.load()
	for _, n := range notes {
		s.record(Event{Kind: n.kind, Reason: n.reason})
		s.cfg.Logger.Warn("state folder", "finding", n.kind, "reason", n.reason)
	}
	if err != nil {
		return &Error{Code: CodeJournal, Op: "read state folder " + s.cfg.Dir, Why: "it can't be read", Hint: "check the disk and the permissions", Err: err}
	}
	s.leases = ls
	return nil
}

// record gives an event to the audit and the observer. An audit that can't be written is logged and stops nothing:
// a knob that can't be put back because the disk is full would be worse.
func (s *Supervisor) record(e Event) {
	e.Time, e.Actor = s.cfg.Clock.Now(), s.cfg.Actor
	if err := s.audit.append(&e); err != nil {
		s.cfg.Logger.Error("audit", "error", err)
	}
	s.cfg.Observe(e)
}

// drive finds a registered driver by name or alias.
func (s *Supervisor) drive(name string) (*drive, error) {
	var names []string
	for _, d := range s.drives {
		if d.desc.Name == name || slices.Contains(d.desc.Aliases, name) {
			return d, nil
		}
		names = append(names, d.desc.Name)
	}
	return nil, &Error{Code: CodeUnknown, Op: fmt.Sprintf("find mechanism %q", name), Why: "this machine has none of that name", Hint: "there are: " + cmp.Or(strings.Join(names, ", "), "none")}
}

// refresh lists the driver's knobs if what is known of them is old.
func (s *Supervisor) refresh(ctx context.Context, d *drive) error {
	now := s.cfg.Clock.Uptime()
	if d.knobs != nil && !d.stale && now-d.listed < knobsFresh {
		return nil
	}
	list, err := d.Knobs(ctx)
	if err != nil {
		return &Error{Code: CodeDriver, Op: "list the knobs of " + d.desc.Name, Why: "the driver can't", Hint: "run edgehold doctor", Err: err}
	}
	d.knobs = make(map[string]Knob, len(list))
	for _, k := range list {
		d.knobs[k.Name] = k
	}
	// A knob that is away may be back at any moment, so that a list with one is good for this once.
	away := slices.ContainsFunc(list, func(k Knob) bool { return k.Unavailable != "" })
	d.listed, d.stale = now, away
	return nil
}

// knob looks a knob up; one that is not in the list may have appeared since.
func (s *Supervisor) knob(ctx context.Context, d *drive, name string) (Knob, bool) {
	if k, ok := d.knobs[name]; ok {
		return k, true
	}
	d.stale = true
	if err := s.refresh(ctx, d); err != nil {
		s.cfg.Logger.Error("list knobs", "mechanism", d.desc.Name, "error", err)
	}
	k, ok := d.knobs[name]
	return k, ok
}

// Describe returns the registered mechanisms.
func (s *Supervisor) Describe() []Description {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Description, len(s.drives))
	for i, d := range s.drives {
		out[i] = d.desc
	}
	return out
}

// Mechanism returns the registered mechanism of that name or alias. It also is an [Optioner], [Reverter] and [Simulator].
func (s *Supervisor) Mechanism(name string) (*Supervised, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.drive(name)
	if err != nil {
		return nil, err
	}
	return &Supervised{s: s, desc: d.desc}, nil
}
