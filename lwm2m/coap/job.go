package coap

import (
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// job is a message that a worker handles, with the memory for its answer.
type job struct {
	arrival
	endpoint *Endpoint
	kind     jobKind
	data     []byte // the message's bytes, which arrival.message points into
	response Message
	out      []byte // the answer's bytes
	ticket   ticket // in the history

	state atomic.Uint32
	timer *time.Timer // acknowledges without an answer
	timed bool        // it was started
}

type jobKind uint8

const (
	jobRequest jobKind = iota
	jobBadOption
	jobNotification
)

// States of a job: who leaves jobPending acknowledges the message.
const (
	jobPending uint32 = iota
	jobAcknowledged
	jobAnswered
)

// expectAck sees to it that a confirmable message is acknowledged in time, answered or not.
func (j *job) expectAck() {
	j.state.Store(jobPending)
	j.timed = j.message.Type == Confirmable && !j.key.link.traits.Reliable
	if !j.timed {
		return
	}
	if j.timer == nil {
		j.timer = time.AfterFunc(j.endpoint.reliability.SeparateAfter, j.acknowledgeOnly)
		return
	}
	j.timer.Reset(j.endpoint.reliability.SeparateAfter)
}

func (j *job) acknowledgeOnly() {
	if j.state.CompareAndSwap(jobPending, jobAcknowledged) {
		j.endpoint.acknowledge(j)
	}
}

// recycle keeps the job's memory for another one, unless somebody may still look at it.
func (e *Endpoint) recycle(j *job) {
	if j.timed && !j.timer.Stop() {
		return
	}
	j.timed = false
	j.message.reset()
	j.response.reset()
	if cap(j.data) > 4*defaultMaxMessage || cap(j.out) > 4*defaultMaxMessage {
		return
	}
	e.jobs.Put(j)
}

// run handles the job in a worker.
func (j *job) run() {
	switch j.kind {
	case jobNotification:
		j.notify()
	default:
		j.serve()
	}
	j.endpoint.recycle(j)
}

// notify gives an answer that nothing waited for to who keeps observations.
func (j *job) notify() {
	e := j.endpoint
	known := j.guard(func() bool { return e.config.Notifications(e.life, j.peer, &j.message) })
	if !j.state.CompareAndSwap(jobPending, jobAnswered) {
		return // acknowledged meanwhile: the next one will be reset
	}
	if known {
		e.acknowledge(j)
	} else {
		e.unknown(j)
	}
}

// guard calls f and turns a panic into false.
func (j *job) guard(f func() bool) (ok bool) {
	defer func() {
		if r := recover(); r != nil {
			ok = false
			j.endpoint.counts.panics.Add(1)
			j.endpoint.log.Error("CoAP handler panicked", slog.Any("panic", r), slog.String("peer", j.peer.String()), slog.String("message", j.message.String()),
				slog.String("stack", string(debug.Stack())))
		}
	}()
	return f()
}
