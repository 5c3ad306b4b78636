package mechanisms

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"time"
)

// Config is what a [Supervisor] is made of. Only Dir is needed.
type Config struct {
	Dir      string   // state folder: journal, leases, audit; for this supervisor alone
	Envelope Envelope // the operator's bounds; zero = what the hardware offers
	BootID   string   // empty = read from /proc
	Actor    string   // who we are, for the audit; empty = "daemon"
	Clock    Clock    // nil = SystemClock
	Logger   *slog.Logger

	DriverPatience time.Duration // with one call of a driver; 0 = 2 seconds
	DefaultLease   time.Duration // for commands that name none; 0 = 2 minutes
	MaxLease       time.Duration // longer ones are shortened; 0 = 24 hours
	DriftEvery     time.Duration // how often held knobs are compared; 0 = 10 s, negative = never
	LockPatience   time.Duration // how long to wait for another process to give the folder back; 0 = 5 s
	AuditBytes     int64         // size at which the audit rotates, two files are kept; 0 = 8 MiB
	Exit           ExitPolicy    // what Close does, and the guard after a crash; empty = revert
	HandsOff       string        // path of the operator's stop file; empty = hands-off in Dir
	Observe        func(Event)   // called for each event, under the lock: must be quick and not call back; may be nil
}

// ExitPolicy says what becomes of held knobs when the process ends.
type ExitPolicy string

// The exit policies.
const (
	ExitRevert ExitPolicy = "revert" // old values at once
	ExitKeep   ExitPolicy = "keep"   // each lease runs to its deadline, so that a restart goes unnoticed
)

func (c *Config) setDefaults() {
	c.DefaultLease = cmp.Or(c.DefaultLease, 2*time.Minute)
	c.DriverPatience = cmp.Or(c.DriverPatience, drivePatience)
	c.MaxLease = cmp.Or(c.MaxLease, 24*time.Hour)
	c.DriftEvery = cmp.Or(c.DriftEvery, 10*time.Second)
	c.LockPatience = cmp.Or(c.LockPatience, 5*time.Second)
	c.AuditBytes = cmp.Or(c.AuditBytes, 8<<20)
	c.Exit = cmp.Or(c.Exit, ExitRevert)
	c.Actor = cmp.Or(c.Actor, "daemon")
	c.HandsOff = cmp.Or(c.HandsOff, filepath.Join(c.Dir, "hands-off"))
	if c.Clock == nil {
		c.Clock = SystemClock{}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Observe == nil {
		c.Observe = func(Event) {}
	}
}

// Validate reports everything that is wrong with the configuration.
func (c Config) Validate() error {
	var errs []error
	bad := func(why string) {
		errs = append(errs, &Error{Code: CodeConfig, Op: "configure mechanisms", Why: why, Hint: "correct the configuration"})
	}
	if c.Dir == "" {
		bad("no state folder is named")
	}
	if c.DefaultLease < 0 || c.MaxLease < 0 || c.DriverPatience < 0 {
		bad("a lease can't be negative")
	}
	if c.MaxLease > 0 && c.DefaultLease > c.MaxLease {
		bad("the default lease is longer than the longest")
	}
	if !slices.Contains([]ExitPolicy{"", ExitRevert, ExitKeep}, c.Exit) {
		bad(fmt.Sprintf("%q is no exit policy; use revert or keep", c.Exit))
	}
	return errors.Join(append(errs, c.Envelope.Validate())...)
}
