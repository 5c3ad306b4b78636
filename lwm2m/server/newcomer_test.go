package server

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgehold/edgehold/lwm2m"
)

// there answers a hail.
func (d *script) there() {
	d.t.Helper()
	asked := d.asked("GET /3/0/16 accept=0")
	if asked.kind != non {
		d.t.Errorf("it is asked by a message of type %d", asked.kind)
	}
	d.send(packet{kind: non, code: code("2.05"), id: 7, token: asked.token, payload: "U", options: []field{uintField(optFormat, 0)}})
}

// introduced answers the first read of /3.
func (d *script) introduced() {
	d.t.Helper()
	d.reply(d.asked("GET /3 accept=112"), "4.05", "")
}

// silence registers names where nobody answers.
func (r *rig) silence(from, to int) {
	for n := from; n < to; n++ {
		d := r.device(fmt.Sprintf("10.%d.%d.1:5683", 1+n/250, n%250))
		d.registered(fmt.Sprint("silent-", n), "&lwm2m=1.1")
		d.vanish()
	}
}

// newcomers is how many wait in line.
func (r *rig) newcomers() int {
	w := &r.server.work
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.crews[forNewcomers].length
}

var twoWorkers = Config{FirstReads: []lwm2m.Path{at("/3")}, Limits: Limits{Workers: 2}}

// Whoever answers where he says that he is waits for none of those that don't.
func TestNewcomerAmongForgedNames(t *testing.T) {
	for name, tc := range map[string]struct {
		within time.Duration
		act    func(d *script)
	}{
		"at once": {time.Second, func(d *script) { d.there() }},
		"asked again": {6 * time.Second, func(d *script) {
			d.asked("GET /3/0/16 accept=0") // which is lost
			d.there()
		}},
		"by an answer that comes late": {2 * time.Minute, func(d *script) {
			asked := d.asked("GET /3/0/16 accept=0")
			time.Sleep(time.Minute)
			d.send(packet{kind: con, code: code("4.04"), id: 7, token: asked.token})
			for p := d.receive(); p.kind != ack; p = d.receive() {
				if p.kind == con {
					d.t.Errorf("the answer is answered by %s", p.request())
				}
			}
		}},
		"by an update": {2 * time.Minute, func(d *script) {
			time.Sleep(time.Minute) // it is not asked any more
			if got := d.update(""); got.answer() != "2.04" {
				d.t.Errorf("an update is answered %s", got.answer())
			}
			for len(d.others) > 0 && d.others[0].kind == non {
				d.others = d.others[1:]
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, twoWorkers, func(r *rig) {
				r.silence(0, 20)
				began := time.Now()
				d := r.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1")
				tc.act(d)
				d.introduced()
				for r.expectAny().Kind != Introduced {
				}
				if took := time.Since(began); took > tc.within {
					t.Errorf("it is introduced after %v", took)
				}
			})
		})
	}
}

// expectAny takes the next event, whatever it is.
func (r *rig) expectAny() Event {
	r.t.Helper()
	e, err := r.sub.Next(r.t.Context())
	must(r.t, err)
	return e
}

// Those that don't answer are asked twice, and wait for nothing then.
func TestForgedNewcomersAreAskedTwice(t *testing.T) {
	bubble(t, twoWorkers, func(r *rig) {
		r.silence(0, 2) // who keep the workers
		d := r.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1")
		for range mostAsked {
			d.asked("GET /3/0/16 accept=0")
		}
		time.Sleep(10 * round)
		d.silent()
		if n := r.newcomers(); n != 0 {
			t.Errorf("%d wait still", n)
		}
	})
}

// Of whom something is wanted waits with the others of whom something is, though it came as a newcomer.
func TestNewcomerOfWhomSomethingIsWanted(t *testing.T) {
	bubble(t, twoWorkers, func(r *rig) {
		r.silence(0, 10)
		d := r.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1")
		d.asked("GET /3/0/16 accept=0") // which it does not answer
		began := time.Now()
		_, err := r.server.Enqueue(t.Context(), "dev", Request{Operation: OpRead, Path: at("/3/0/9")}, Hold{})
		must(t, err)
		d.introduced()
		d.text(d.asked("GET /3/0/9 accept=112"), "80")
		for r.expectAny().Kind != Answered {
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("it is asked after %v", took)
		}
	})
}

// Another's answer, from elsewhere or with a number of its own, proves nothing.
func TestForgedAnswerToAHail(t *testing.T) {
	bubble(t, twoWorkers, func(r *rig) {
		r.silence(0, 2)
		d := r.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1")
		asked := d.asked("GET /3/0/16 accept=0")
		other := r.device("10.0.0.2:5683")
		other.send(packet{kind: non, code: code("2.05"), id: 7, token: asked.token})
		d.send(packet{kind: non, code: code("2.05"), id: 7, token: "guessed!"})
		if got := d.receive(); got.kind != rst {
			t.Errorf("a guess is answered by %s", got.request())
		}
		if got := d.asked("GET /3/0/16 accept=0"); got.token != asked.token {
			t.Error("it has another registration")
		}
		d.silent()
	})
}

// Forged names fill no table for others: the silent make room.
func TestForgedNamesMakeRoom(t *testing.T) {
	config := twoWorkers
	config.Limits.Devices = 40
	bubble(t, config, func(r *rig) {
		for n := range 10 {
			d := r.device(fmt.Sprintf("10.0.0.1:%d", 1000+n)).registered(fmt.Sprint("real-", n), "&lwm2m=1.1")
			d.introduced()
			synctest.Wait()
		}
		r.silence(0, 30)
		if got := r.device("10.0.0.3:5683").register("early", "&lwm2m=1.1"); got.answer() != "5.03" {
			t.Errorf("before they had the time to answer, a registration is answered %s", got.answer())
		}
		time.Sleep(time.Minute)
		taken := 0
		for n := range 15 {
			d := r.device(fmt.Sprintf("10.0.0.2:%d", 1000+n))
			for range 50 { // a few are looked at each time
				if d.register(fmt.Sprint("late-", n), "&lwm2m=1.1").answer() == "2.01" {
					taken++
					break
				}
			}
		}
		if taken != 15 || r.server.Len() != 40 {
			t.Errorf("%d are taken, %d devices are registered", taken, r.server.Len())
		}
		for n := range 10 {
			if _, ok := r.server.Device(fmt.Sprint("real-", n)); !ok {
				t.Errorf("real-%d had to make room", n)
			}
		}
	})
}

// A flood of forged names, with real devices in between.
func TestFloodOfForgedNames(t *testing.T) {
	bubble(t, Config{FirstReads: []lwm2m.Path{at("/3")}}, func(r *rig) {
		const second = 400 // names, of one second
		for n := range 5 {
			r.silence(n*second, (n+1)*second)
			began := time.Now()
			d := r.device(fmt.Sprintf("10.0.0.1:%d", 1000+n)).registered(fmt.Sprint("real-", n), "&lwm2m=1.1")
			d.there()
			d.introduced()
			if took := time.Since(began); took > time.Second {
				t.Errorf("after %d forged names a device waits for %v", (n+1)*second, took)
			}
			time.Sleep(time.Second)
		}
		time.Sleep(10 * time.Minute)
		if n := r.newcomers(); n != 0 {
			t.Errorf("%d wait still", n)
		}
	})
}
