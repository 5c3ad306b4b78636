package agents

import "time"

// Condition is how a loop is doing.
type Condition string

// The conditions.
const (
	Waiting    Condition = "waiting" // for its first episode, or for Run
	Healthy    Condition = "healthy"
	BackingOff Condition = "backing-off" // it failed and will be tried again later
	Ailing     Condition = "unhealthy"   // it failed MaxFailures times in a row
	Off        Condition = "off"         // by the management mode
)

// Status tells of one loop.
type Status struct {
	Key       Key
	Version   string
	Module    string
	Contender string // version that runs beside it, if one does
	Condition Condition
	Interval  time.Duration // the present one; 0: only when woken or asked
	Failures  int           // consecutive
	Last      *Failure      // the newest, while Failures > 0
	Episodes  uint64
	Decision  string // id of the newest
	Outcome   Outcome
	At        time.Time // of the newest episode
	Held      []string  // "mechanism knob"
	Unwatched string    // why the bounds that should wake it are not watched, if so
}

func (l *loop) report() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.status
}

// publish makes the loop's condition visible to Status; d is an episode's
// decision, if one just ended.
func (l *loop) publish(d *Decision) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &l.status
	s.Key, s.Version, s.Module = l.b.Key, l.b.Version, l.b.Module
	s.Contender = ""
	if l.rival != nil {
		s.Contender = l.rival.b.Version
	}
	s.Interval, s.Failures, s.Episodes = l.interval, l.failures, l.seq
	if d != nil {
		s.Decision, s.Outcome, s.At, s.Last = d.ID, d.Outcome, d.Time, d.Failure
	}
	if l.failures == 0 {
		s.Last = nil
	}
	l.held.prune(time.Now())
	s.Held, s.Unwatched = l.held.names(), l.unwatched
	s.Condition = l.condition()
}

func (l *loop) condition() Condition {
	switch {
	case l.off():
		return Off
	case l.failures >= l.e.c.MaxFailures:
		return Ailing
	case l.failures > 0:
		return BackingOff
	case l.seq == 0:
		return Waiting
	}
	return Healthy
}
