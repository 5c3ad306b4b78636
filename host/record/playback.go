package record

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/wasmabi"
)

// playback answers a guest's host calls with what was recorded, so that replaying has no effect on anything.
type playback struct {
	calls    []HostCall // of the call that is replayed, in order
	tooLarge int        // a length that the host refuses
	strayed  string     // what the guest asked for that was not recorded
}

// handles returns as many as the recorded session was granted.
func (p *playback) handles(n int) []host.Handle {
	list := make([]host.Handle, n)
	for k := range list {
		list[k] = played{p, uint32(k)}
	}
	return list
}

// start makes the host calls of c the ones to answer with. Those for handles that were not granted never come here.
func (p *playback) start(c *Call, granted int) {
	p.calls = p.calls[:0]
	for _, h := range c.HostCalls {
		if int64(h.Handle) < int64(granted) {
			p.calls = append(p.calls, h)
		}
	}
}

type played struct {
	*playback
	index uint32
}

// Call answers with the next recorded result if the guest asks for the same thing.
func (p played) Call(_ context.Context, op uint32, in, dst []byte) ([]byte, error) {
	if len(p.calls) == 0 {
		return dst, p.stray("handle %d, op %d, after the recorded host calls", p.index, op)
	}
	next := p.calls[0]
	if next.Handle != p.index || next.Op != op || !bytes.Equal(next.Request, in) {
		return dst, p.stray("handle %d, op %d with %d bytes; recorded is handle %d, op %d with %d bytes",
			p.index, op, len(in), next.Handle, next.Op, len(next.Request))
	}
	p.playback.calls = p.calls[1:]
	return p.answer(next, dst)
}

func (p played) answer(h HostCall, dst []byte) ([]byte, error) {
	switch h.Status {
	case wasmabi.StatusOK:
		return append(dst, h.Response...), nil
	case wasmabi.StatusTooLarge:
		return make([]byte, p.tooLarge), nil
	}
	failure := &playedError{status: h.Status}
	if err := wasmabi.DecodeError(h.Response, &failure.recorded); err != nil {
		return dst, fmt.Errorf("read a recorded error: %w", err)
	}
	return dst, failure
}

func (p *playback) stray(format string, args ...any) error {
	if p.strayed == "" {
		p.strayed = fmt.Sprintf(format, args...)
	}
	return errors.New("not recorded")
}

// playedError is a recorded failure of a handle: it reads the same and has the same status as the first time.
type playedError struct {
	recorded wasmabi.Error
	status   wasmabi.Status
}

func (e *playedError) Error() string     { return e.recorded.Message }
func (e *playedError) ErrorCode() string { return e.recorded.Code }

// Is makes the host give the recorded status.
func (e *playedError) Is(target error) bool {
	return target == host.ErrDenied && e.status == wasmabi.StatusDenied ||
		target == host.ErrInvalid && e.status == wasmabi.StatusInvalid
}
