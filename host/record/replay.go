package record

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/edgehold/edgehold/host"
)

// Report is what a replay found.
type Report struct {
	Calls int // replayed
	// Difference is the first thing that was not the same; nil if there is none.
	Difference *Difference
	// Undetermined says why the rest can't be compared, if it can't: a call that wall time ended.
	Undetermined string
}

// Same reports whether everything was the same.
func (r *Report) Same() bool { return r.Difference == nil && r.Undetermined == "" }

// Difference is something that replay found to be other than recorded.
type Difference struct {
	Call      int    // index
	Field     string // "image", "response", "fuel", "error" or "host call"
	Got, Want string
}

// String describes the difference in one line.
func (d *Difference) String() string {
	return fmt.Sprintf("call %d: %s is %s, recorded was %s", d.Call, d.Field, d.Got, d.Want)
}

// codeDeadline is the code of the one failure that depends on the machine.
const codeDeadline = "call.deadline"

// Replay runs the episode again with the module it was recorded with, and compares bytes and fuel call by call. An error
// means that it could not be run; that it ran otherwise is in the Report.
func Replay(ctx context.Context, m *host.Module, e *Episode) (Report, error) {
	if err := e.replayable("replay episode"); err != nil {
		return Report{}, err
	}
	if m.Digest() != e.Module {
		return Report{}, &Error{Attempt: "replay episode", Code: "record.other-module",
			Why:  fmt.Sprintf("it was recorded with module %s, this is %s", e.Module, m.Digest()),
			Hint: "fetch that version, or compare with Counterfactual"}
	}
	if m.Image() != e.Image {
		return Report{Difference: &Difference{Field: "image", Got: m.Image(), Want: e.Image}}, nil
	}
	p := &playback{tooLarge: int(m.Limits().ResponseBytes) + 1}
	s, err := m.Begin(ctx, host.SessionConfig{Time: e.Time, Seed: e.Seed, Handles: p.handles(e.Handles)})
	if err != nil {
		return Report{}, fmt.Errorf("replay episode: %w", err)
	}
	defer s.Close()
	return replay(ctx, s, p, e)
}

func (e *Episode) replayable(attempt string) error {
	if !e.Truncated {
		return nil
	}
	return &Error{Attempt: attempt, Code: "record.truncated", Why: "it was larger than the recorder's bound, so its end is missing",
		Hint: "raise the bound for recordings"}
}

func replay(ctx context.Context, s *host.Session, p *playback, e *Episode) (r Report, err error) {
	for n := range e.Calls {
		c := &e.Calls[n]
		p.start(c, e.Handles)
		response, failure := s.Call(ctx, c.Op, c.Request)
		if ctx.Err() != nil {
			return r, fmt.Errorf("replay episode: call %d: %w", n, ctx.Err())
		}
		r.Calls++
		if c.Error == codeDeadline || codeOf(failure) == codeDeadline {
			r.Undetermined = fmt.Sprintf("call %d was ended by wall time, which is not part of an episode", n)
			return r, nil
		}
		if r.Difference = compare(n, c, p, response, s.Fuel(), failure); r.Difference != nil {
			return r, nil
		}
	}
	return r, nil
}

func compare(n int, c *Call, p *playback, response []byte, fuel uint64, failure error) *Difference {
	switch {
	case p.strayed != "":
		return &Difference{n, "host call", p.strayed, "as recorded"}
	case codeOf(failure) != c.Error:
		return &Difference{n, "error", orNone(codeOf(failure)), orNone(c.Error)}
	case failure == nil && !bytes.Equal(response, c.Response):
		return &Difference{n, "response", fmt.Sprintf("%x", response), fmt.Sprintf("%x", c.Response)}
	case fuel != c.Fuel:
		return &Difference{n, "fuel", fmt.Sprint(fuel), fmt.Sprint(c.Fuel)}
	}
	return nil
}

func codeOf(err error) string {
	if e, ok := errors.AsType[*host.CallError](err); ok {
		return e.Code
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func orNone(code string) string {
	if code == "" {
		return "none"
	}
	return code
}
