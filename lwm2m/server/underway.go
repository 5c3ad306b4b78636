package server

import (
	"context"
	"errors"
	"time"

	"github.com/edgehold/edgehold/lwm2m/coap"
)

// Why an exchange is ended though its time is not over: where it was sent nobody will answer. Others are ErrGone and ErrAsleep.
var (
	errAnew  = errors.New("the device has registered anew")
	errMoved = errors.New("the device is elsewhere now")
	errStale = errors.New("the device has changed since it was looked up") // and nothing was sent
)

// call is an exchange that is under way with a device.
type call struct {
	next *call // of the same device
	safe bool  // to be done twice
	stop context.CancelCauseFunc
}

// begin notes an exchange with a device as t has it.
func (d *device) begin(t *target, c *call) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.gone:
		return ErrGone
	case d.id != t.id || whereIs(d.peer) != whereIs(t.peer):
		return errStale
	}
	c.next, d.calls = d.calls, c
	return nil
}

func (d *device) finish(c *call) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for p := &d.calls; *p != nil; p = &(*p).next {
		if *p == c {
			*p = c.next
			return
		}
	}
}

// interrupt ends what is under way with a device that will not answer it. The device is locked.
func (d *device) interrupt(why error) {
	for c := d.calls; c != nil; c = c.next {
		c.stop(why)
	}
}

// slept ends what may wait in the queue of a device that sleeps. The device is locked.
func (d *device) slept() {
	for c := d.calls; c != nil; c = c.next {
		if c.safe {
			c.stop(ErrAsleep)
		}
	}
}

// send does one exchange with a device, for as long as it is where it was and the registration the same.
func (s *Server) send(ctx context.Context, d *device, t *target, m *coap.Message, safe bool) (*coap.Message, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	c := &call{safe: safe, stop: stop}
	if err := d.begin(t, c); err != nil {
		return nil, err
	}
	defer d.finish(c)
	response, err := s.endpoint.Do(ctx, t.peer, m)
	if safe && t.peer.Association != 0 && errors.Is(err, coap.ErrUnreachable) {
		return nil, regain(ctx, err)
	}
	return response, err
}

// regain waits a moment for a device whose association or connection has ended, as a rule because it has a new one and registers over
// that next. It returns why it waits no longer.
func regain(ctx context.Context, err error) error {
	const moment = 2 * time.Second
	patience := time.NewTimer(moment)
	defer patience.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-patience.C:
		return err
	}
}

// toRepeat reports whether a request that was ended by err is to be sent once more, to where the device is now.
func toRepeat(err error, safe bool) bool {
	return errors.Is(err, errStale) || safe && (errors.Is(err, errAnew) || errors.Is(err, errMoved))
}
