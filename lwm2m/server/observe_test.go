package server

import (
	"testing"
	"time"

	"github.com/edgehold/edgehold/lwm2m"
)

type observed struct {
	id   ObservationID
	tree lwm2m.Tree
}

func (r *rig) observe(endpoint, path string) *pending[observed] {
	return begin(func() (observed, error) {
		id, tree, err := r.server.Observe(r.t.Context(), endpoint, at(path))
		return observed{id, tree}, err
	})
}

// observing is a device with an observation of /3/0/9, and the token of it.
func (r *rig) observing(d *script) (id ObservationID, token string) {
	r.t.Helper()
	o := r.observe("dev", "/3/0/9")
	asked := d.asked("GET /3/0/9 observe=0 accept=112")
	d.text(asked, "80", uintField(optObserve, 10))
	got, err := o.wait()
	must(r.t, err)
	if got.tree.String() != "/3/0/9 = 80" || len(asked.token) != 8 {
		r.t.Errorf("observed %s by token %x", got.tree, asked.token)
	}
	return got.id, asked.token
}

func TestNotifications(t *testing.T) {
	bubble(t, Config{}, func(r *rig) {
		d := r.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1")
		r.expect("registered dev", "introduced dev")
		id, token := r.observing(d)
		for _, step := range []struct {
			sequence uint32
			value    string
			told     bool
		}{
			{11, "81", true}, {13, "83", true}, {12, "82", false}, {13, "83", false}, {14, "84", true}, // RFC 7641 §3.4
			{14 + 1<<23, "0", false}, {1<<23 + 13, "85", true}, {1<<24 - 1, "86", true}, {3, "87", true}, // around the number's end
		} {
			if got := d.notify(token, step.sequence, step.value); got != "ACK" {
				t.Errorf("%d is answered %s", step.sequence, got)
			}
			if step.told {
				if e := r.expect("notified dev /3/0/9 = " + step.value)[0]; e.Observation != id || e.Path != at("/3/0/9") {
					t.Errorf("event %+v", e)
				}
			}
			r.quiet()
		}
		time.Sleep(129 * time.Second) // after so long any number is newer
		d.notify(token, 2, "88")
		r.expect("notified dev /3/0/9 = 88")
		d.notify(token, 4, "not a number")
		if e := r.expect("notified dev")[0]; errorCode(e.Err) != "lwm2m-server.unreadable" {
			t.Errorf("error %v", e.Err)
		}
	})
}

func TestUnknownNotificationsAreReset(t *testing.T) {
	bubble(t, Config{}, func(r *rig) {
		d := r.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1")
		r.expect("registered dev", "introduced dev")
		_, token := r.observing(d)
		for _, unknown := range []string{"12345678", "short", "", token[:7]} {
			if got := d.notify(unknown, 20, "1"); got != "RST" {
				t.Errorf("token %q is answered %s", unknown, got)
			}
		}
		r.quiet()
	})
}

func TestObservationIsNotAnothers(t *testing.T) {
	bubble(t, Config{Authorise: Bound()}, func(r *rig) {
		d := r.secured("dev", 1).registered("dev", "&lwm2m=1.1")
		r.expect("registered dev", "introduced dev")
		_, token := r.observing(d)
		if got := r.secured("mallory", 2).notify(token, 20, "666"); got != "RST" {
			t.Errorf("another principal's is answered %s", got)
		}
		if got := r.device("10.0.0.9:5683").notify(token, 20, "666"); got != "RST" {
			t.Errorf("nobody's is answered %s", got)
		}
		r.quiet()
		if got := r.secured("dev", 3).notify(token, 20, "81"); got != "ACK" { // a new association of the same
			t.Errorf("its own is answered %s", got)
		}
		r.expect("notified dev /3/0/9 = 81")
		if known, _ := r.server.Device("dev"); known.Peer.Association != 3 {
			t.Errorf("it is at %s", known.Peer)
		}
	})
}

func TestNotificationFromElsewhere(t *testing.T) {
	bubble(t, Config{}, func(r *rig) {
		r.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1")
		r.expect("registered dev", "introduced dev")
	})
	bubble(t, Config{}, func(r *rig) {
		d := r.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1")
		r.expect("registered dev", "introduced dev")
		_, token := r.observing(d)
		moved := r.device("10.0.0.2:1111")
		if got := moved.notify(token, 20, "81"); got != "ACK" {
			t.Errorf("answered %s", got)
		}
		asked := moved.asked("GET /3/0/16 accept=0")
		r.quiet() // not told before it is checked
		moved.text(asked, "U")
		r.expect("updated dev", "notified dev /3/0/9 = 81")
		if got := moved.notify(token, 21, "82"); got != "ACK" {
			t.Errorf("answered %s", got)
		}
		r.expect("notified dev /3/0/9 = 82")
		moved.silent()
	})
}

// What a device says from a new address while that is being checked is not lost.
func TestNotificationsDuringTheCheck(t *testing.T) {
	bubble(t, Config{}, func(r *rig) {
		d := r.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1")
		r.expect("registered dev", "introduced dev")
		_, token := r.observing(d)
		moved := r.device("10.0.0.2:1111")
		moved.where = d.where
		moved.update("")
		moved.notify(token, 20, "81")
		moved.notify(token, 21, "82")
		r.quiet()
		moved.text(moved.asked("GET /3/0/16 accept=0"), "U")
		r.expect("updated dev", "updated dev", "notified dev /3/0/9 = 81", "notified dev /3/0/9 = 82")
		r.device("10.0.0.66:1111").notify(token, 23, "666") // never answers
		r.quiet()
		moved.notify(token, 22, "83")
		r.expect("notified dev /3/0/9 = 83")
	})
}

// A device that is asked again to observe may count its notifications from the beginning.
func TestRenewedObservationCountsAnew(t *testing.T) {
	bubble(t, Config{}, func(r *rig) {
		d := r.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1")
		r.expect("registered dev", "introduced dev")
		id, token := r.observing(d)
		d.notify(token, 50, "81")
		o := r.observe("dev", "/3/0/9")
		asked := d.asked("GET /3/0/9 observe=0 accept=112")
		d.text(asked, "82", uintField(optObserve, 0))
		if got, err := o.wait(); err != nil || got.id != id || asked.token != token {
			t.Errorf("renewed as %v, %v", got, err)
		}
		d.notify(token, 1, "83")
		r.expect("notified dev /3/0/9 = 81", "notified dev /3/0/9 = 83")
	})
}

func TestObservationsEnd(t *testing.T) {
	for name, tc := range map[string]struct {
		end    func(r *rig, d *script, id ObservationID, token string)
		events []string
	}{
		"actively": {func(r *rig, d *script, id ObservationID, token string) {
			c := begin(func() (struct{}, error) { return struct{}{}, r.server.Cancel(r.t.Context(), "dev", id) })
			asked := d.asked("GET /3/0/9 observe=1 accept=112")
			if asked.token != token {
				r.t.Error("another token")
			}
			d.text(asked, "80")
			_, err := c.wait()
			must(r.t, err)
		}, nil},
		"passively": {func(r *rig, _ *script, id ObservationID, _ string) { must(r.t, r.server.Forget("dev", id)) }, nil},
		"by an error of the device": {func(_ *rig, d *script, _ ObservationID, token string) {
			d.id++
			d.send(packet{kind: con, code: code("4.04"), id: d.id, token: token, options: []field{uintField(optObserve, 30)}})
			d.receive()
		}, []string{"ended dev"}},
		"by a value without the Observe option": {func(_ *rig, d *script, _ ObservationID, token string) {
			d.id++
			d.send(packet{kind: con, code: code("2.05"), id: d.id, token: token, options: []field{uintField(optFormat, 0)}, payload: "79"})
			d.receive()
		}, []string{"notified dev /3/0/9 = 79", "ended dev"}},
		"by a first block without the Observe option": {func(_ *rig, d *script, _ ObservationID, token string) {
			d.id++
			d.send(packet{kind: con, code: code("2.05"), id: d.id, token: token, options: []field{uintField(optFormat, 0), uintField(optBlock2, 1<<3)}, payload: "0123456789abcdef"})
			d.receive()
		}, []string{"ended dev"}},
		"by a renewal that is refused": {func(r *rig, d *script, _ ObservationID, _ string) {
			o := r.observe("dev", "/3/0/9")
			d.reply(d.asked("GET /3/0/9 observe=0 accept=112"), "4.03", "")
			if _, err := o.wait(); errorCode(err) != "lwm2m-server.forbidden" {
				r.t.Errorf("the renewal brings %v", err)
			}
		}, []string{"ended dev"}},
		"by a renewal that is only answered": {func(r *rig, d *script, _ ObservationID, _ string) {
			o := r.observe("dev", "/3/0/9")
			d.text(d.asked("GET /3/0/9 observe=0 accept=112"), "80")
			if _, err := o.wait(); errorCode(err) != "lwm2m-server.not-observable" {
				r.t.Errorf("the renewal brings %v", err)
			}
		}, []string{"ended dev"}},
		"by de-registration": {func(_ *rig, d *script, _ ObservationID, _ string) { d.call(del, d.where, "") }, []string{"deregistered dev"}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, Config{}, func(r *rig) {
				d := r.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1")
				r.expect("registered dev", "introduced dev")
				id, token := r.observing(d)
				tc.end(r, d, id, token)
				r.expect(tc.events...)
				if got := d.notify(token, 40, "1"); got != "RST" {
					t.Errorf("afterwards a notification is answered %s", got)
				}
				r.quiet()
				if n := r.server.byToken.size(); n != 0 {
					t.Errorf("%d tokens are known", n)
				}
				if err := r.server.Forget("dev", id); err == nil {
					t.Error("it is there still")
				}
			})
		})
	}
}

func TestObserveFails(t *testing.T) {
	bubble(t, Config{Limits: Limits{Observations: 1}}, func(r *rig) {
		d := r.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1")
		o := r.observe("dev", "/3/0/9")
		d.text(d.asked("GET /3/0/9 observe=0 accept=112"), "80") // answered, and not observed
		got, err := o.wait()
		if careful(t, err); errorCode(err) != "lwm2m-server.not-observable" || got.tree.String() != "/3/0/9 = 80" {
			t.Errorf("got %v, %v", got, err)
		}
		o = r.observe("dev", "/3/0/99")
		d.reply(d.asked("GET /3/0/99 observe=0 accept=112"), "4.04", "")
		if _, err := o.wait(); errorCode(err) != "lwm2m-server.not-found" {
			t.Errorf("got %v", err)
		}
		if n := r.server.byToken.size(); n != 0 {
			t.Errorf("%d tokens are known", n)
		}
		id, _ := r.observing(d)
		again, _ := r.observing(d) // the same observation
		if again != id {
			t.Error("observed twice")
		}
		if _, err := r.observe("dev", "/3/0/10").wait(); errorCode(err) != "lwm2m-server.too-many-observations" {
			t.Errorf("got %v", err)
		}
	})
}

// A device that registers anew has forgotten what was asked of it.
func TestWantedAgainAfterRegistration(t *testing.T) {
	bubble(t, Config{FirstReads: []lwm2m.Path{at("/3"), at("/5")}}, func(r *rig) {
		d := r.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1")
		d.reply(d.asked("GET /3 accept=112"), "2.05", `[{"n":"/3/0/0","vs":"Acme"}]`, uintField(optFormat, 110))
		r.expect("registered dev", `introduced dev /3/0/0 = "Acme"`)
		_, token := r.observing(d)
		write := begin(func() (struct{}, error) {
			return struct{}{}, r.server.WriteAttributes(r.t.Context(), "dev", at("/3/0/9"), lwm2m.Attributes{Has: lwm2m.PMin | lwm2m.PMax, PMin: 1, PMax: 60})
		})
		d.reply(d.asked("PUT /3/0/9?pmin=1&pmax=60"), "2.04", "")
		_, err := write.wait()
		must(t, err)
		write = begin(func() (struct{}, error) {
			return struct{}{}, r.server.WriteAttributes(r.t.Context(), "dev", at("/3/0/9"), lwm2m.Attributes{Unset: lwm2m.PMax})
		})
		d.reply(d.asked("PUT /3/0/9?pmax"), "2.04", "")
		_, err = write.wait()
		must(t, err)

		d.registered("dev", "&lwm2m=1.1") // it was restarted
		d.reply(d.asked("PUT /3/0/9?pmin=1"), "2.04", "")
		asked := d.asked("GET /3/0/9 observe=0 accept=112")
		if asked.token != token {
			t.Error("another token")
		}
		d.text(asked, "70", uintField(optObserve, 1)) // counts from the beginning
		d.reply(d.asked("GET /3 accept=112"), "4.05", "")
		r.expect("registered dev", "notified dev /3/0/9 = 70", "introduced dev")
		d.notify(token, 2, "71")
		r.expect("notified dev /3/0/9 = 71")

		d.registered("dev", "&lwm2m=1.1") // with another firmware
		d.reply(d.asked("PUT /3/0/9?pmin=1"), "4.04", "")
		d.reply(d.asked("GET /3/0/9 observe=0 accept=112"), "4.04", "")
		d.reply(d.asked("GET /3 accept=112"), "4.05", "")
		r.expect("registered dev", "ended dev", "introduced dev")
	})
}

// An answer that can't be read is an answer: what else follows the registration is done, and what the device observes goes on.
func TestUnreadableAfterRegistration(t *testing.T) {
	bubble(t, Config{FirstReads: []lwm2m.Path{at("/3"), at("/1")}}, func(r *rig) {
		d := r.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1")
		d.reply(d.asked("GET /3 accept=112"), "4.05", "")
		d.reply(d.asked("GET /1 accept=112"), "4.05", "")
		r.expect("registered dev", "introduced dev")
		_, token := r.observing(d)

		d.registered("dev", "&lwm2m=1.1")
		d.text(d.asked("GET /3/0/9 observe=0 accept=112"), "not a number", uintField(optObserve, 11))
		d.reply(d.asked("GET /3 accept=112"), "2.05", "[", uintField(optFormat, 110))
		d.reply(d.asked("GET /1 accept=112"), "2.05", `[{"n":"/1/0/1","v":60}]`, uintField(optFormat, 110))
		if e := r.expect("registered dev", "notified dev", "introduced dev /1/0/1 = 60")[1]; errorCode(e.Err) != "lwm2m-server.unreadable" {
			t.Errorf("error %v", e.Err)
		}
		if got := d.notify(token, 12, "81"); got != "ACK" {
			t.Errorf("a notification is answered %s", got)
		}
		r.expect("notified dev /3/0/9 = 81")
		d.silent()
	})
}

func TestSend(t *testing.T) {
	bubble(t, Config{}, func(r *rig) {
		d := r.device("10.0.0.1:5683")
		const series = `[{"bn":"/3303/0/","bt":1700000000,"n":"5700","v":20.5},{"n":"5700","t":60,"v":21}]`
		if got := d.call(post, "/dp", series, uintField(optFormat, 110)); got.answer() != "4.04" {
			t.Errorf("unregistered: answers %s", got.answer())
		}
		d.registered("dev", "&lwm2m=1.1")
		r.expect("registered dev", "introduced dev")
		if got := d.call(post, "/dp", series, uintField(optFormat, 110)); got.answer() != "2.04" {
			t.Errorf("answers %s %s", got.answer(), got.payload)
		}
		r.expect("sent dev /3303/0/5700 = 20.5 at 2023-11-14T22:13:20Z, /3303/0/5700 = 21 at 2023-11-14T22:14:20Z")
		for payload, want := range map[string]string{"[": "4.00", "": "4.00", `[{"n":"x","v":1}]`: "4.00"} {
			if got := d.call(post, "/dp", payload, uintField(optFormat, 110)); got.answer() != want {
				t.Errorf("%q answers %s", payload, got.answer())
			}
		}
		if got := d.call(post, "/dp", "1", uintField(optFormat, 0)); got.answer() != "4.15" {
			t.Errorf("text answers %s", got.answer())
		}
		if got := d.call(get, "/dp", ""); got.answer() != "4.05" {
			t.Errorf("GET answers %s", got.answer())
		}
		if got := r.device("10.0.0.2:5683").call(post, "/dp", series, uintField(optFormat, 110)); got.answer() != "4.04" {
			t.Errorf("from elsewhere: answers %s", got.answer())
		}
		r.quiet()
	})
}

func TestLargeNotificationIsRead(t *testing.T) {
	bubble(t, Config{}, func(r *rig) {
		d := r.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1")
		r.expect("registered dev", "introduced dev")
		o := r.observe("dev", "/3/0")
		asked := d.asked("GET /3/0 observe=0 accept=112")
		d.reply(asked, "2.05", `[{"n":"/3/0/9","v":1}]`, uintField(optObserve, 1), uintField(optFormat, 110))
		_, err := o.wait()
		must(t, err)
		d.id++
		d.send(packet{kind: con, code: code("2.05"), id: d.id, token: asked.token, payload: `[{"n":"/3/0/9","`,
			options: []field{uintField(optObserve, 2), uintField(optFormat, 110), uintField(optBlock2, 8)}})
		got := d.receive()
		if got.kind != ack { // it may ask before it acknowledges
			d.others = append(d.others, got)
			got = d.receive()
		}
		if got.kind != ack {
			t.Fatalf("answered %+v", got)
		}
		d.reply(d.asked("GET /3/0 accept=112"), "2.05", `[{"n":"/3/0/9","v":2}]`, uintField(optFormat, 110))
		r.expect("notified dev /3/0/9 = 2")
	})
}

// TestJointObservationLeavesOthers: one that fails half way, path by path, ends what it has begun, and not what was observed before.
func TestJointObservationLeavesOthers(t *testing.T) {
	bubble(t, Config{}, func(r *rig) {
		d := r.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1")
		r.expect("registered dev", "introduced dev")
		id, _ := r.observing(d)
		joint := begin(func() (Answer, error) {
			return r.server.Do(r.t.Context(), "dev", Request{Operation: OpObserveComposite, Paths: []lwm2m.Path{at("/3/0/9"), at("/3/0/1"), at("/3/0/2")}})
		})
		d.reply(d.asked("FETCH / observe=0 format=112 accept=112"), "4.05", "")
		d.text(d.asked("GET /3/0/9 observe=0 accept=112"), "80", uintField(optObserve, 11))
		d.text(d.asked("GET /3/0/1 observe=0 accept=112"), "model", uintField(optObserve, 1))
		d.reply(d.asked("GET /3/0/2 observe=0 accept=112"), "4.04", "")
		if _, err := joint.wait(); err == nil {
			t.Error("observed what is not there")
		}
		left, err := r.server.Observations("dev")
		must(r.t, err)
		if len(left) != 1 || left[0].ID != id {
			t.Errorf("observations %v, want %x alone", left, id)
		}
	})
}
