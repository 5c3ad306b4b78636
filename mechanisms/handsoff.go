package mechanisms

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
)

// The hands-off file stops all writing for as long as it exists. Everything goes back to its old value first, unless
// the file's first word is "freeze": then every knob stays where it is, expired or not.
const freezeWord = "freeze"

const (
	stoppedReverted = "the hands-off file exists; knobs are at their old values"
	stoppedFrozen   = "the hands-off file says freeze; knobs stay where they are"
)

// readHandsOff tells why nothing may be written, empty when it may.
func (s *Supervisor) readHandsOff() string {
	f, err := os.Open(s.cfg.HandsOff)
	if os.IsNotExist(err) {
		return ""
	}
	if err != nil {
		return stoppedReverted // it is there and can't be read: better stopped
	}
	defer f.Close()
	b, _ := io.ReadAll(io.LimitReader(f, 64))
	if strings.HasPrefix(strings.TrimSpace(string(b)), freezeWord) {
		return stoppedFrozen
	}
	return stoppedReverted
}

// obeyHandsOff follows the file's coming and going.
func (s *Supervisor) obeyHandsOff(ctx context.Context) {
	was, is := s.stopped, s.readHandsOff()
	if was == is {
		return
	}
	s.stopped = is
	switch is {
	case "":
		s.record(Event{Kind: EventResumed})
	case stoppedReverted:
		s.record(Event{Kind: EventHandsOff, Reason: is})
		s.end(ctx, EventReverted, is, func(*Lease) bool { return true })
	default:
		s.record(Event{Kind: EventHandsOff, Reason: is})
	}
}

// frozen tells whether not even putting back is allowed.
func (s *Supervisor) frozen() bool { return s.stopped == stoppedFrozen }

// mayWrite refuses commands while there is a hands-off file, or after Close.
func (s *Supervisor) mayWrite(c Command) error {
	if s.closed {
		return &Error{Code: CodeBusy, Op: string(c.Verb) + " " + c.Mechanism, Why: "the supervisor is closed", Hint: "the daemon is ending; try again after its restart"}
	}
	why := s.readHandsOff()
	if why == "" || (c.Verb == Reset && why != stoppedFrozen) {
		return nil
	}
	return &Error{Code: CodeHandsOff, Op: string(c.Verb) + " " + c.Mechanism, Why: why, Hint: fmt.Sprintf("remove %s to go on", s.cfg.HandsOff)}
}
