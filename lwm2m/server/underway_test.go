package server

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
)

// changes are what may become of a device that is asked something and does not answer any more.
var changes = map[string]struct {
	change func(r *rig, old *script) (now *script) // nil: it is nowhere
	code   string                                  // of the error of what is not repeated
}{
	"it registers over a new association": {func(r *rig, _ *script) *script { return r.secured("dev", 2).registered("dev", "&lwm2m=1.1") }, "lwm2m-server.started-anew"},
	"it registers anew where it was": {func(_ *rig, old *script) *script {
		old.back()
		return old.registered("dev", "&lwm2m=1.1")
	}, "lwm2m-server.started-anew"},
	"its association is closed, then it registers over a new one": {func(r *rig, old *script) *script {
		r.close(old)
		time.Sleep(time.Second)
		return r.secured("dev", 2).registered("dev", "&lwm2m=1.1")
	}, "lwm2m-server.unreachable"},
	"it comes over another association": {func(r *rig, old *script) *script {
		now := r.secured("dev", 2)
		now.where = old.where
		now.update("")
		return now
	}, "lwm2m-server.moved"},
}

// close ends a device's association, as a transport tells it.
func (r *rig) close(d *script) {
	r.secure.receiver.Unreachable(d.peer, nil, fmt.Errorf("a newer association has taken its place: %w", coap.ErrUnreachable))
}

// overtaken has a device vanish while it is asked, changed, and checks that the call knows soon.
func overtaken(t *testing.T, change func(r *rig, old *script) *script, f func(r *rig, old *script) (then func(now *script))) {
	bubble(t, Config{}, func(r *rig) {
		old := r.secured("dev", 1).registered("dev", "&lwm2m=1.1")
		then := f(r, old)
		old.vanish()
		time.Sleep(100 * time.Millisecond)
		began := time.Now()
		then(change(r, old))
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %s", took)
		}
		synctest.Wait()
		if d := r.server.byEndpoint.get("dev"); d != nil && d.calls != nil {
			t.Error("an exchange is still noted")
		}
	})
}

func TestAsksAgainWhereTheDeviceIs(t *testing.T) {
	value := lwm2m.Tree{{Path: at("/3/0/14"), Value: lwm2m.String("+01")}}
	for name, c := range changes {
		t.Run(name, func(t *testing.T) {
			for what, ask := range map[string]struct {
				do      func(r *rig) error
				request string
				answer  string
			}{
				"read":   {func(r *rig) error { _, err := r.server.Read(r.t.Context(), "dev", at("/3/0/0")); return err }, "GET /3/0/0 accept=112", "2.05"},
				"write":  {func(r *rig) error { return r.server.Write(r.t.Context(), "dev", at("/3/0/14"), value) }, "PUT /3/0/14 format=112", "2.04"},
				"delete": {func(r *rig) error { return r.server.Delete(r.t.Context(), "dev", at("/9/1")) }, "DELETE /9/1", "2.02"},
			} {
				t.Run(what, func(t *testing.T) {
					overtaken(t, c.change, func(r *rig, old *script) func(*script) {
						p := begin(func() (struct{}, error) { return struct{}{}, ask.do(r) })
						old.asked(ask.request)
						return func(now *script) {
							asked := now.asked(ask.request)
							now.reply(asked, ask.answer, `[{"n":"/3/0/0","vs":"a"}]`, uintField(optFormat, 110))
							_, err := p.wait()
							must(r.t, err)
						}
					})
				})
			}
		})
	}
}

func TestDoesNotAskAgainWhatMayHaveBeenDone(t *testing.T) {
	for name, c := range changes {
		t.Run(name, func(t *testing.T) {
			overtaken(t, c.change, func(r *rig, old *script) func(*script) {
				p := begin(func() (struct{}, error) {
					return struct{}{}, r.server.Execute(r.t.Context(), "dev", at("/3/0/4"), "")
				})
				old.asked("POST /3/0/4")
				return func(now *script) {
					_, err := p.wait()
					careful(r.t, err)
					if got := errorCode(err); got != c.code {
						t.Errorf("error %s, want %s", got, c.code)
					}
					now.silent()
				}
			})
		})
	}
}

func TestEndsWithTheRegistration(t *testing.T) {
	for name, end := range map[string]func(r *rig, d *script){
		"the device de-registers": func(_ *rig, d *script) { d.back(); d.call(del, d.where, "") },
		"it is removed":           func(r *rig, _ *script) { must(r.t, r.server.Remove("dev")) },
	} {
		t.Run(name, func(t *testing.T) {
			overtaken(t, func(r *rig, old *script) *script { end(r, old); return nil }, func(r *rig, old *script) func(*script) {
				p := r.read(r.t.Context(), "dev", "/3/0/0")
				old.asked("GET /3/0/0 accept=112")
				return func(*script) {
					_, err := p.wait()
					careful(r.t, err)
					if !errors.Is(err, ErrGone) || errorCode(err) != "lwm2m-server.gone" {
						t.Errorf("error %v", err)
					}
				}
			})
		})
	}
}

// TestOneFindsOutForAll has several requests wait for a device that turns out to sleep: the first to find out spares the others
// the wait.
func TestOneFindsOutForAll(t *testing.T) {
	bubble(t, Config{}, func(r *rig) {
		d := r.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1&Q")
		d.vanish()
		began := time.Now()
		first := r.read(r.t.Context(), "dev", "/3/0/0")
		synctest.Wait()
		second := r.read(r.t.Context(), "dev", "/3/0/1")
		r.expect("registered dev", "awake dev", "introduced dev", "asleep dev")
		if took := time.Since(began); took > 100*time.Second {
			t.Errorf("it took %s", took)
		}
		synctest.Wait()
		if waiting, err := r.server.Queued("dev"); err != nil || len(waiting) != 2 {
			t.Errorf("waiting are %+v, %v", waiting, err)
		}
		d.back()
		d.update("")
		for range 2 {
			asked := d.receive()
			d.text(asked, "a")
		}
		_, err := first.wait()
		must(r.t, err)
		_, err = second.wait()
		must(r.t, err)
	})
}

// TestAnObservationBegunOverARestart is under the registration that its answer came under, so it is not begun twice.
func TestAnObservationBegunOverARestart(t *testing.T) {
	bubble(t, Config{}, func(r *rig) {
		old := r.secured("dev", 1).registered("dev", "&lwm2m=1.1")
		p := begin(func() (Answer, error) {
			return r.server.Do(r.t.Context(), "dev", Request{Operation: OpObserve, Path: at("/3303/0/5700")})
		})
		old.asked("GET /3303/0/5700 observe=0 accept=112")
		old.vanish()
		now := r.secured("dev", 2).registered("dev", "&lwm2m=1.1")
		now.text(now.asked("GET /3303/0/5700 observe=0 accept=112"), "20", uintField(optObserve, 1))
		answer, err := p.wait()
		must(r.t, err)
		if len(answer.Observations) != 1 {
			t.Errorf("observations %v", answer.Observations)
		}
		now.silent()
	})
}
