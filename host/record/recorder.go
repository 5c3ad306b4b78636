package record

import (
	"bytes"

	"github.com/edgehold/edgehold/host"
)

// Recorder makes an Episode of one session at a time. It is a host.Recorder.
type Recorder struct {
	left    int
	limit   int
	episode Episode
	pending []HostCall // of the call that runs
}

// NewRecorder returns a recorder that keeps at most limit bytes of requests and responses of a session.
func NewRecorder(limit int) *Recorder { return &Recorder{limit: limit} }

// Episode returns what was recorded since the last Begin. The next session does not change it.
func (r *Recorder) Episode() *Episode {
	e := r.episode
	return &e
}

// Begin starts a new episode.
func (r *Recorder) Begin(o host.Origin) {
	r.left, r.pending = r.limit, nil
	r.episode = Episode{Module: o.Module, Image: o.Image, Time: o.Time, Seed: o.Seed, Handles: o.Handles}
}

// HostCall records one.
func (r *Recorder) HostCall(h host.HostCall) {
	if len(r.pending) >= MaxCalls || !r.fits(len(h.Request)+len(h.Response)) {
		return
	}
	r.pending = append(r.pending, HostCall{Handle: h.Handle, Op: h.Op, Request: bytes.Clone(h.Request),
		Response: bytes.Clone(h.Response), Status: h.Status})
}

// Call records one, with the host calls before it.
func (r *Recorder) Call(c host.Call) {
	if len(r.episode.Calls) >= MaxCalls || !r.fits(len(c.Request)+len(c.Response)) {
		return
	}
	call := Call{Op: c.Op, Request: bytes.Clone(c.Request), Response: bytes.Clone(c.Response), Status: c.Status, Fuel: c.Fuel,
		HostCalls: r.pending}
	if c.Err != nil {
		call.Error, call.Message = c.Err.Code, c.Err.Message
	}
	r.pending = nil
	r.episode.Calls = append(r.episode.Calls, call)
}

// fits takes n bytes of the budget. What comes after the first that does not fit is not recorded either.
func (r *Recorder) fits(n int) bool {
	if r.episode.Truncated || n > r.left {
		r.episode.Truncated = true
		return false
	}
	r.left -= n
	return true
}
