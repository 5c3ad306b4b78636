package sign

import "time"

// clock tells the time to a node whose own clock may be missing or wrong. What is signed carries the time of signing, so it is
// at least as late as the latest of those, plus what has passed since as the processor counts it.
type clock struct {
	now    func() time.Time     // the machine's clock; nil is not to be asked
	uptime func() time.Duration // since some moment, never going back
	signed time.Time            // latest time of signing among what is believed
	base   time.Time            // what the time was, by signatures alone, at mark
	mark   time.Duration
}

// learn sets the floor to the latest time of signing. It may go back, where keys that signed later times were revoked.
func (c *clock) learn(signed time.Time) {
	estimate := c.floor()
	c.mark = c.uptime()
	switch {
	case signed.Before(c.signed), signed.After(estimate):
		c.base = signed
	default:
		c.base = estimate
	}
	c.signed = signed
}

// resume goes on from what a process before this one knew, if it is from the same signature.
func (c *clock) resume(signed, base time.Time) {
	if signed.Equal(c.signed) && base.After(c.base) {
		c.base, c.mark = base, c.uptime()
	}
}

// floor is the time by signatures and the processor alone.
func (c *clock) floor() time.Time {
	if c.base.IsZero() {
		return c.base
	}
	return c.base.Add(c.uptime() - c.mark)
}

// time is the best guess. behind reports that the machine's clock is earlier than what has been signed already.
func (c *clock) time() (t time.Time, behind bool) {
	floor := c.floor()
	if c.now == nil {
		return floor, false
	}
	if now := c.now().UTC(); now.After(floor) {
		return now, false
	}
	return floor, true
}

// implausible is how far the machine's clock may be ahead of the latest signature before it is doubted in messages.
const implausible = 3 * 365 * 24 * time.Hour

// doubt says that the machine's clock is the more likely culprit, or nothing.
func (c *clock) doubt(t time.Time) string {
	if c.now == nil || c.signed.IsZero() || t.Sub(c.floor()) < implausible {
		return ""
	}
	return "the clock says " + day(t) + ", years after the latest signature of " + day(c.signed) + ": it may be wrong"
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
