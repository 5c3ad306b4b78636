package server

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
)

func TestQueueMode(t *testing.T) {
	for name, more := range map[string]string{"of 1.0": "&lwm2m=1.0&b=UQ", "of 1.1": "&lwm2m=1.1&Q"} {
		t.Run(name, func(t *testing.T) {
			bubble(t, Config{}, func(r *rig) {
				d := r.device("10.0.0.1:5683").registered("dev", more+"&lt=86400")
				r.expect("registered dev", "awake dev", "introduced dev")
				accept := map[bool]string{true: "112", false: "11542"}[strings.Contains(more, "1.1")]
				time.Sleep(92 * time.Second)
				r.quiet()
				read := r.read(r.t.Context(), "dev", "/3/0/0") // it is awake still
				d.text(d.asked("GET /3/0/0 accept="+accept), "a")
				r.succeeds(read, `/3/0/0 = "a"`)
				time.Sleep(92 * time.Second) // and longer, by its answer
				r.quiet()
				time.Sleep(2 * time.Second)
				r.expect("asleep dev")

				first := r.read(r.t.Context(), "dev", "/3/0/1")
				time.Sleep(time.Second)
				second := r.read(r.t.Context(), "dev", "/3/0/2")
				time.Sleep(time.Hour)
				d.silent()
				if waiting, err := r.server.Queued("dev"); err != nil || len(waiting) != 2 || waiting[0].Request.Path != at("/3/0/1") {
					t.Errorf("waiting are %+v, %v", waiting, err)
				}
				if got := d.update(""); got.answer() != "2.04" { // answered before anything is asked
					t.Fatal(got.answer())
				}
				r.expect("updated dev", "awake dev")
				asked := d.asked("GET /3/0/1 accept=" + accept)
				d.silent() // one at a time
				d.text(asked, "b")
				r.succeeds(first, `/3/0/1 = "b"`)
				d.text(d.asked("GET /3/0/2 accept="+accept), "c")
				r.succeeds(second, `/3/0/2 = "c"`)
				d.silent()
			})
		})
	}
}

func TestWakingUp(t *testing.T) {
	for name, wake := range map[string]func(d *script, token string){
		"by an update":      func(d *script, _ string) { d.update("") },
		"by a notification": func(d *script, token string) { d.notify(token, 20, "81") },
		"by a send":         func(d *script, _ string) { d.call(post, "/dp", `[{"n":"/3/0/9","v":1}]`, uintField(optFormat, 110)) },
		"by a registration": func(d *script, _ string) { d.register("dev", "&lwm2m=1.1&Q&lt=864000") },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, Config{}, func(r *rig) {
				d := r.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1&Q&lt=864000")
				r.expect("registered dev", "awake dev", "introduced dev")
				_, token := r.observing(d)
				r.expect("asleep dev")
				read := r.read(r.t.Context(), "dev", "/3/0/0")
				time.Sleep(10 * time.Minute)
				wake(d, token)
				for {
					p := d.askedNext()
					if p.request() == "GET /3/0/9 observe=0 accept=112" { // after a registration
						d.text(p, "80", uintField(optObserve, 1))
						continue
					}
					d.text(p, "x")
					break
				}
				r.succeeds(read, `/3/0/0 = "x"`)
			})
		})
	}
}

// askedNext is the next request, whatever it is.
func (d *script) askedNext() packet {
	if len(d.others) > 0 {
		p := d.others[0]
		d.others = d.others[1:]
		return p
	}
	return d.receive()
}

func TestQueueIsBounded(t *testing.T) {
	bubble(t, Config{Limits: Limits{Queue: 3}}, func(r *rig) {
		r.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1&Q")
		r.expect("registered dev", "awake dev", "introduced dev", "asleep dev")
		ctx, stop := context.WithCancel(r.t.Context())
		var waiting []*pending[lwm2m.Tree]
		for range 3 {
			waiting = append(waiting, r.read(ctx, "dev", "/3/0/0"))
		}
		time.Sleep(time.Second)
		_, err := r.server.Read(r.t.Context(), "dev", at("/3/0/0"))
		if careful(t, err); !errors.Is(err, ErrQueueFull) || CodeOf(err) != coap.ServiceUnavailable {
			t.Errorf("one more: %v", err)
		}
		stop()
		for _, w := range waiting {
			if _, err := w.wait(); !errors.Is(err, ErrAsleep) {
				t.Errorf("given up: %v", err)
			}
		}
		if q, _ := r.server.Queued("dev"); len(q) != 0 {
			t.Errorf("%d wait still", len(q))
		}
	})
}

func TestQueueDeadlines(t *testing.T) {
	bubble(t, Config{}, func(r *rig) {
		r.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1&Q")
		r.expect("registered dev", "awake dev", "introduced dev", "asleep dev")
		ctx, stop := context.WithTimeout(r.t.Context(), time.Minute)
		defer stop()
		began := time.Now()
		_, err := r.server.Read(ctx, "dev", at("/3/0/0"))
		if careful(t, err); CodeOf(err) != coap.GatewayTimeout || !errors.Is(err, ErrAsleep) || time.Since(began).Round(time.Second) != time.Minute {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		id, err := r.server.Enqueue(r.t.Context(), "dev", Request{Operation: OpRead, Path: at("/3/0/0")}, Hold{For: 5 * time.Minute})
		must(t, err)
		began = time.Now()
		e := r.expect("answered dev")[0]
		if e.Request != id || !errors.Is(e.Err, ErrAsleep) || time.Since(began).Round(time.Second) != 5*time.Minute {
			t.Errorf("after %v: %+v", time.Since(began), e)
		}
	})
}

func TestEnqueue(t *testing.T) {
	bubble(t, Config{}, func(r *rig) {
		d := r.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1")
		r.expect("registered dev", "introduced dev")
		id, err := r.server.Enqueue(r.t.Context(), "dev", Request{Operation: OpRead, Path: at("/3/0/0")}, Hold{})
		must(t, err)
		d.text(d.asked("GET /3/0/0 accept=112"), "x")
		if e := r.expect(`answered dev /3/0/0 = "x"`)[0]; e.Request != id || e.Answer.Code != coap.Content {
			t.Errorf("event %+v", e)
		}
		d.vanish()
		must(t, errorOnly(r.server.Enqueue(r.t.Context(), "dev", Request{Operation: OpRead, Path: at("/3/0/1")}, Hold{})))
		second, err := r.server.Enqueue(r.t.Context(), "dev", Request{Operation: OpRead, Path: at("/3/0/2")}, Hold{})
		must(t, err)
		if taken, err := r.server.Withdraw("dev", second); err != nil || !taken {
			t.Errorf("withdraw: %v, %v", taken, err)
		}
		if taken, _ := r.server.Withdraw("dev", second); taken {
			t.Error("withdrawn twice")
		}
		if e := r.expect("answered dev")[0]; e.Request != second || errorCode(e.Err) != "lwm2m-server.withdrawn" {
			t.Errorf("event %+v", e)
		}
		if e := r.expect("answered dev")[0]; errorCode(e.Err) != "lwm2m-server.timeout" {
			t.Errorf("event %+v", e)
		}
	})
}

func errorOnly[T any](_ T, err error) error { return err }

// A device that says it is awake and is not: what may be asked twice waits for the next time, the rest fails.
func TestFallsAsleepInBetween(t *testing.T) {
	bubble(t, Config{}, func(r *rig) {
		d := r.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1&Q&lt=864000")
		r.expect("registered dev", "awake dev", "introduced dev")
		d.vanish()
		read := r.read(r.t.Context(), "dev", "/3/0/0")
		execute := begin(func() (struct{}, error) { return struct{}{}, r.server.Execute(r.t.Context(), "dev", at("/3/0/4"), "") })
		r.expect("asleep dev")
		_, err := execute.wait()
		if err == nil {
			t.Error("executed")
		}
		time.Sleep(time.Hour)
		d.back()
		d.update("")
		d.text(d.asked("GET /3/0/0 accept=112"), "x")
		r.succeeds(read, `/3/0/0 = "x"`)
		d.silent()
	})
}

// A request that fails because the device has moved meanwhile goes to where it is now.
func TestMovesDuringARequest(t *testing.T) {
	bubble(t, Config{Authorise: Bound()}, func(r *rig) {
		old := r.secured("dev", 1).registered("dev", "&lwm2m=1.1&Q&lt=864000")
		r.expect("registered dev", "awake dev", "introduced dev")
		old.vanish()
		read := r.read(r.t.Context(), "dev", "/3/0/0")
		time.Sleep(20 * time.Second)
		now := r.secured("dev", 2).registered("dev", "&lwm2m=1.1&Q&lt=864000")
		r.expect("registered dev", "introduced dev")
		now.text(now.asked("GET /3/0/0 accept=112"), "x")
		r.succeeds(read, `/3/0/0 = "x"`)
		r.quiet() // it was awake all the time
	})
}

func TestLostAndFound(t *testing.T) {
	bubble(t, Config{}, func(r *rig) {
		d := r.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1")
		r.expect("registered dev", "introduced dev")
		d.vanish()
		for n := range 3 {
			if _, err := r.read(r.t.Context(), "dev", "/3/0/0").wait(); !errors.Is(err, ErrTimeout) {
				t.Errorf("read %d: %v", n, err)
			}
			if n < 2 {
				r.quiet()
			}
		}
		r.expect("lost dev")
		if known, _ := r.server.Device("dev"); known.State != Unreachable {
			t.Errorf("it is %s", known.State)
		}
		_, _ = r.read(r.t.Context(), "dev", "/3/0/0").wait()
		r.quiet() // told once
		d.back()
		d.update("")
		r.expect("updated dev", "found dev")
		if known, _ := r.server.Device("dev"); known.State != Reachable {
			t.Errorf("it is %s", known.State)
		}
	})
}

// TestLostAndFoundInQueueMode: a device may come back with another binding than it was lost with.
func TestLostAndFoundInQueueMode(t *testing.T) {
	bubble(t, Config{}, func(r *rig) {
		d := r.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1")
		r.expect("registered dev", "introduced dev")
		d.vanish()
		for range 3 {
			_, _ = r.read(r.t.Context(), "dev", "/3/0/0").wait()
		}
		r.expect("lost dev")
		d.back()
		d.registered("dev", "&lwm2m=1.1&Q")
		r.expect("registered dev", "found dev", "awake dev", "introduced dev")
	})
}

func TestRequestsEndWithTheRegistration(t *testing.T) {
	bubble(t, Config{}, func(r *rig) {
		r.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1&Q")
		r.expect("registered dev", "awake dev", "introduced dev", "asleep dev")
		read := r.read(r.t.Context(), "dev", "/3/0/0")
		time.Sleep(time.Second)
		must(t, r.server.Remove("dev"))
		if _, err := read.wait(); !errors.Is(err, ErrGone) {
			t.Errorf("got %v", err)
		}
		r.expect("removed dev")
		if err := r.server.Remove("dev"); !errors.Is(err, ErrUnknownDevice) {
			t.Errorf("removed twice: %v", err)
		}
	})
}
