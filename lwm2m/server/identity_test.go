package server

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgehold/edgehold/lwm2m/coap"
)

func TestBound(t *testing.T) {
	for name, tc := range map[string]struct {
		noSec              []string
		endpoint, identity string
		want               bool
	}{
		"the credential's own name":       {nil, "dev", "dev", true},
		"another's name":                  {nil, "dev", "other", false},
		"another's name, listed":          {[]string{"*"}, "dev", "other", false},
		"no security":                     {nil, "dev", "", false},
		"no security, listed":             {[]string{"x", "d?v"}, "dev", "", true},
		"no security, not listed":         {[]string{"devs", "de"}, "dev", "", false},
		"a star takes slashes":            {[]string{"urn:*"}, "urn:a/b", "", true},
		"a pattern that is none":          {[]string{"[", "dev"}, "dev", "", true},
		"a name that looks like patterns": {[]string{"a*"}, "*", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			err := Bound(tc.noSec...)(Claim{Endpoint: tc.endpoint, Peer: coap.Peer{Identity: tc.identity}})
			if (err == nil) != tc.want {
				t.Errorf("got %v", err)
			}
			if err != nil {
				careful(t, err)
			}
		})
	}
}

func TestTakeover(t *testing.T) {
	const registration = "&lwm2m=1.1"
	config := Config{Authorise: func(Claim) error { return nil }} // whatever it says
	type devices struct{ plain, elsewhere, alice, aliceAgain, mallory *script }
	for name, tc := range map[string]struct {
		first, then func(d devices) *script
		want        string
		owner       string // whose the registration is afterwards
	}{
		"another principal":              {func(d devices) *script { return d.alice }, func(d devices) *script { return d.mallory }, "4.03", "alice"},
		"no principal":                   {func(d devices) *script { return d.alice }, func(d devices) *script { return d.plain }, "4.03", "alice"},
		"the same, in a new association": {func(d devices) *script { return d.alice }, func(d devices) *script { return d.aliceAgain }, "2.01", "alice"},
		"with security at last":          {func(d devices) *script { return d.plain }, func(d devices) *script { return d.alice }, "2.01", "alice"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, config, func(r *rig) {
				d := devices{
					plain: r.device("10.0.0.1:5683"), elsewhere: r.device("10.0.0.2:5683"),
					alice: r.secured("alice", 1), aliceAgain: r.secured("alice", 2), mallory: r.secured("mallory", 3),
				}
				first, then := tc.first(d), tc.then(d)
				first.registered("dev", registration)
				if got := then.register("dev", registration); got.answer() != tc.want {
					t.Errorf("answers %s, want %s", got.answer(), tc.want)
				}
				got, _ := r.server.Device("dev")
				if got.Peer.Identity != tc.owner {
					t.Errorf("the owner is %q", got.Peer.Identity)
				}
				if tc.want != "4.03" {
					return
				}
				// Nor may it update, end it, send, or notify.
				if got := then.call(post, first.where, ""); got.answer() != "4.03" {
					t.Errorf("update answers %s", got.answer())
				}
				if got := then.call(del, first.where, ""); got.answer() != "4.03" {
					t.Errorf("de-registration answers %s", got.answer())
				}
				if got := then.call(post, "/dp", "[]", uintField(optFormat, 110)); got.answer() != "4.04" {
					t.Errorf("send answers %s", got.answer())
				}
				if _, ok := r.server.Device("dev"); !ok {
					t.Error("it was ended")
				}
			})
		})
	}
}

func TestAuthoriseAnswers(t *testing.T) {
	for want, refusal := range map[string]error{
		"4.03": errors.New("not today"),
		"4.01": &Error{CoAP: coap.Unauthorized, Why: "no"},
	} {
		bubble(t, Config{Authorise: func(Claim) error { return refusal }}, func(r *rig) {
			if got := r.device("10.0.0.1:5683").register("dev", "&lwm2m=1.1"); got.answer() != want {
				t.Errorf("answers %s, want %s", got.answer(), want)
			}
			if len(r.server.links.sets) != 0 {
				t.Error("its links were kept")
			}
		})
	}
}

func TestNameFromCredential(t *testing.T) {
	bubble(t, Config{Authorise: Bound()}, func(r *rig) {
		if got := r.secured("alice", 1).call(post, "/rd?lwm2m=1.1", ""); got.answer() != "2.01" {
			t.Errorf("answers %s", got.answer())
		}
		if _, ok := r.server.Device("alice"); !ok {
			t.Error("not registered by its credential's name")
		}
	})
}

// Without security anybody may claim an address. So one that moves is asked something there first.
func TestAddressIsChecked(t *testing.T) {
	const question = "GET /3/0/16 accept=0"
	t.Run("update", func(t *testing.T) {
		bubble(t, Config{}, func(r *rig) {
			old := r.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1")
			r.expect("registered dev", "introduced dev")
			moved := r.device("10.0.0.2:1234")
			moved.where = old.where
			if got := moved.update(""); got.answer() != "2.04" {
				t.Fatalf("answers %s", got.answer())
			}
			asked := moved.asked(question)
			if got, _ := r.server.Device("dev"); got.Peer != old.peer {
				t.Errorf("moved unchecked to %s", got.Peer)
			}
			moved.text(asked, "U")
			r.expect("updated dev", "updated dev") // it has moved, and what its Update said holds
			if got, _ := r.server.Device("dev"); got.Peer != moved.peer {
				t.Errorf("it is at %s", got.Peer)
			}
			read := r.read(r.t.Context(), "dev", "/3/0/0")
			moved.text(moved.asked("GET /3/0/0 accept=112"), "x")
			r.succeeds(read, `/3/0/0 = "x"`)
			old.silent()
		})
	})
	t.Run("an error is an answer too", func(t *testing.T) {
		bubble(t, Config{}, func(r *rig) {
			old := r.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1")
			r.expect("registered dev", "introduced dev")
			moved := r.device("10.0.0.2:1234")
			moved.where = old.where
			moved.update("")
			moved.reply(moved.asked(question), "4.05", "")
			r.expect("updated dev", "updated dev")
			if got, _ := r.server.Device("dev"); got.Peer != moved.peer {
				t.Errorf("it is at %s", got.Peer)
			}
		})
	})
	t.Run("a forged update changes nothing", func(t *testing.T) {
		bubble(t, Config{}, func(r *rig) {
			d := r.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1&lt=600&b=U")
			before, _ := r.server.Device("dev")
			forged := r.device("10.0.0.66:1234")
			forged.where = d.where
			time.Sleep(5 * time.Minute)
			if got := forged.update("?lt=86400&b=UQ"); got.answer() != "2.04" {
				t.Errorf("answers %s", got.answer())
			}
			if got, _ := r.server.Device("dev"); got.Peer != d.peer || got.Lifetime != before.Lifetime || got.Binding != "U" || got.Seen != before.Seen {
				t.Errorf("is %+v, was %+v", got, before)
			}
			time.Sleep(5*time.Minute + r.server.config.Times.Grace + time.Second)
			synctest.Wait()
			if got, known := r.server.Device("dev"); known {
				t.Errorf("the other's update keeps it alive: %+v", got)
			}
		})
	})
	t.Run("a forged address", func(t *testing.T) {
		bubble(t, Config{}, func(r *rig) {
			d := r.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1&lt=3600")
			forged := r.device("10.0.0.66:1234")
			forged.registered("dev", "&lwm2m=1.1") // says 2.01, and means nothing
			for range 5 {                          // asked once and again four times
				forged.asked(question)
			}
			time.Sleep(2 * time.Minute)
			forged.silent()
			if got, _ := r.server.Device("dev"); got.Peer != d.peer || "/rd/"+got.ID != d.where {
				t.Errorf("taken over: %+v", got)
			}
			if got := d.update(""); got.answer() != "2.04" {
				t.Errorf("the owner's update answers %s", got.answer())
			}
			if got := forged.update(""); got.answer() != "4.04" {
				t.Errorf("the other's update answers %s", got.answer())
			}
			if len(r.server.candidates.all) != 0 {
				t.Error("it is remembered")
			}
		})
	})
	t.Run("many forged addresses", func(t *testing.T) {
		bubble(t, Config{}, func(r *rig) {
			r.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1")
			r.expect("registered dev", "introduced dev")
			for n := range 3 * maxCandidates {
				r.device(fmt.Sprintf("10.6.6.%d:1234", n)).registered("dev", "&lwm2m=1.1")
			}
			synctest.Wait()
			if n := len(r.server.candidates.all); n != maxCandidates {
				t.Errorf("%d addresses are being checked, want %d", n, maxCandidates)
			}
			moved := r.device("10.0.0.2:5683").registered("dev", "&lwm2m=1.1")
			if got := moved.register("dev", "&lwm2m=1.1"); got.answer() != "5.03" {
				t.Errorf("while it is being checked it is answered %s", got.answer())
			}
			moved.text(moved.asked(question), "U")
			r.expect("registered dev", "introduced dev")
			if got, _ := r.server.Device("dev"); got.Peer != moved.peer || "/rd/"+got.ID != moved.where {
				t.Errorf("known is %+v", got)
			}
			time.Sleep(2 * time.Minute)
			synctest.Wait()
			if n := len(r.server.candidates.all) + len(r.server.links.sets); n != 1 {
				t.Errorf("%d checks and sets of links are left, want the device's set", n)
			}
		})
	})
	t.Run("many devices' forged addresses", func(t *testing.T) {
		bubble(t, Config{Limits: Limits{Verifications: 2}}, func(r *rig) {
			for n := range 5 {
				r.device(fmt.Sprintf("10.0.0.%d:5683", n)).registered(fmt.Sprint("dev-", n), "&lwm2m=1.1")
			}
			for n := range 4 {
				r.device(fmt.Sprintf("10.6.6.%d:1234", n)).registered(fmt.Sprint("dev-", n), "&lwm2m=1.1")
			}
			moved := r.device("10.0.1.4:5683").registered("dev-4", "&lwm2m=1.1")
			moved.text(moved.asked(question), "U")
			synctest.Wait()
			if got, _ := r.server.Device("dev-4"); got.Peer != moved.peer {
				t.Errorf("it is at %s", got.Peer)
			}
			if n := len(r.server.candidates.all); n != 1 {
				t.Errorf("%d addresses are being checked, want the last of the forged", n)
			}
		})
	})
}
