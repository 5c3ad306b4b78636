package mechanisms

import (
	"context"
	"time"
)

// A driver's call may hang: a disk that is gone, a bus that does not answer, hardware in the middle of a reset. The supervisor
// does one thing at a time, so it leaves such a call behind when its patience is over, and refuses that driver's calls until
// the one that hangs has returned: a driver is called by one goroutine at a time. Other drivers go on.

// drivePatience is how long one call of a driver may take, unless the configuration says otherwise.
const drivePatience = 2 * time.Second

// answered is what a call gave.
type answered[T any] struct {
	value T
	err   error
}

// leashed makes a call of the driver that may be left behind.
func leashed[T any](d *drive, op string, f func() (T, error)) (T, error) {
	var none T
	if d.hangs != nil {
		select {
		case <-d.hangs:
			d.hangs, d.stale = nil, true
		default:
			return none, d.stuck(op, "an earlier call has not returned yet")
		}
	}
	answer, returned := make(chan answered[T], 1), make(chan struct{})
	go func() {
		defer close(returned)
		v, err := f()
		answer <- answered[T]{v, err}
	}()
	patience := time.NewTimer(d.patience)
	defer patience.Stop()
	select {
	case a := <-answer:
		return a.value, a.err
	case <-patience.C:
		d.hangs = returned
		return none, d.stuck(op, "it did not return within "+d.patience.String())
	}
}

func (d *drive) stuck(op, why string) error {
	return &Error{Code: CodeStuck, Op: op + " of " + d.desc.Name, Why: why, Hint: "look for hardware or a kernel driver that hangs; it is tried again as soon as it answers"}
}

// Knobs is the driver's, on the leash, as are the others.
func (d *drive) Knobs(ctx context.Context) ([]Knob, error) {
	return leashed(d, "list the knobs", func() ([]Knob, error) { return d.Driver.Knobs(ctx) })
}

func (d *drive) Read(ctx context.Context, knob string) (Value, error) {
	return leashed(d, "read "+knob, func() (Value, error) { return d.Driver.Read(ctx, knob) })
}

func (d *drive) Write(ctx context.Context, knob string, v Value) error {
	return d.leashed("write "+knob, func() error { return d.Driver.Write(ctx, knob, v) })
}

func (d *drive) leashed(op string, f func() error) error {
	_, err := leashed(d, op, func() (struct{}, error) { return struct{}{}, f() })
	return err
}

// facts asks a driver that has some.
func (d *drive) facts(ctx context.Context) map[string]string {
	r, ok := d.Driver.(Reporter)
	if !ok {
		return nil
	}
	facts, _ := leashed(d, "ask for the facts", func() (map[string]string, error) { return r.Facts(ctx), nil })
	return facts
}
