package knob

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// radio is what the knobs turn.
type radio struct {
	mu  sync.Mutex
	at  map[string]string // by knob
	off bool
}

func (r *radio) turn(knob, value string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.off {
		return errors.New("the radio is off")
	}
	r.at[knob] = value
	return nil
}

func (r *radio) power(off bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.off = off
}

// panel has the two knobs of a sensor.
func panel(t testing.TB) (*Panel, *radio) {
	r := &radio{at: map[string]string{}}
	knob := func(k Knob) Knob {
		k.Apply = func(v string) error { return r.turn(k.Name, v) }
		return k
	}
	p, err := NewPanel(
		knob(Knob{Name: "TX_PWR", Choices: []string{"LOW", "MEDIUM", "HIGH"}, Default: "HIGH"}),
		knob(Knob{Name: "SAMPLE_INTERVAL", Min: 1, Max: 3600, Unit: "s", Default: "10"}))
	if err != nil {
		t.Fatal(err)
	}
	return p, r
}

func TestShell(t *testing.T) {
	p, _ := panel(t)
	for _, step := range []struct{ command, want string }{
		{"mlsysops knobs list", "Knob ID | Value\n-----\nTX_PWR | HIGH\nSAMPLE_INTERVAL | 10\n"},
		{"mlsysops knobs set TX_PWR LOW", "TX_PWR | LOW\n"},
		{"mlsysops knobs get TX_PWR", "TX_PWR | LOW\n"},
		{" mlsysops  knobs get TX_PWR\n", "TX_PWR | LOW\n"},
		{"mlsysops knobs set SAMPLE_INTERVAL 2.50", "SAMPLE_INTERVAL | 2.5\n"},
		{"mlsysops knobs options", "Knob ID | Values | Default | Unit | Lease\n-----\nTX_PWR | LOW,MEDIUM,HIGH | HIGH |  | 24h0m0s\nSAMPLE_INTERVAL | 1..3600 | 10 | s | 24h0m0s\n"},
	} {
		if got := p.Answer(step.command); got != step.want {
			t.Errorf("%s:\n%swant\n%s", step.command, got, step.want)
		}
	}
	for _, bad := range []string{"", "rm -rf /", "mlsysops", "mlsysops knobs", "mlsysops knobs get", "mlsysops knobs get X", "mlsysops knobs set TX_PWR",
		"mlsysops knobs set TX_PWR FULL", "mlsysops knobs set SAMPLE_INTERVAL 0", "mlsysops knobs set SAMPLE_INTERVAL NaN",
		"mlsysops knobs set TX_PWR LOW -1s", "mlsysops knobs set TX_PWR LOW soon", "mlsysops knobs set TX_PWR LOW 48h", "mlsysops knobs renew TX_PWR LOW", "mlsysops knobs set TX_PWR LOW 30s a b", "mlsysops knobs set TX_PWR LOW 30s a|b", "mlsysops knobs set TX_PWR LOW 30s \x01",
		"mlsysops knobs set TX_PWR LOW 30s " + strings.Repeat("x", 65),
		"mlsysops knobs renew TX_PWR LOW 30s", "mlsysops knobs renew TX_PWR HIGH 30s", "mlsysops knobs list all", strings.Repeat("x", 10_000)} {
		if got := p.Answer(bad); bad != "mlsysops" && !strings.HasPrefix(got, "error: ") || len(got) > 300 {
			t.Errorf("%.60q: got %q", bad, got)
		}
	}
	if v, _ := p.Get("TX_PWR"); v != "LOW" {
		t.Errorf("what failed turned the knob to %s", v)
	}
}

// at reports where TX_PWR is by the panel and by the radio, once those that are due have run.
func at(t *testing.T, p *Panel, r *radio, want string) {
	t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if v, _ := p.Get("TX_PWR"); v != want || r.at["TX_PWR"] != want {
		t.Errorf("the knob is at %s, the radio at %s, want %s", v, r.at["TX_PWR"], want)
	}
}

func TestLeases(t *testing.T) {
	const s = time.Second
	type step struct {
		command string // after "mlsysops knobs "
		refused bool
		wait    time.Duration // after the command
		want    string        // then
	}
	for name, steps := range map[string][]step{
		"one that ends": {{"set TX_PWR LOW 30s", false, 29 * s, "LOW"}, {"", false, 2 * s, "HIGH"}},
		"set again":     {{"set TX_PWR LOW 30s", false, 20 * s, "LOW"}, {"set TX_PWR LOW 30s", false, 20 * s, "LOW"}, {"", false, 11 * s, "HIGH"}},
		"renewed": {{"set TX_PWR LOW 30s", false, 20 * s, "LOW"}, {"renew TX_PWR LOW 30s", false, 20 * s, "LOW"}, {"renew TX_PWR low 30s", false, 29 * s, "LOW"},
			{"", false, 2 * s, "HIGH"}},
		"renewed too late":                  {{"set TX_PWR LOW 30s", false, 31 * s, "HIGH"}, {"renew TX_PWR LOW 30s", true, 0, "HIGH"}},
		"a person is first":                 {{"set TX_PWR LOW 30s", false, s, "LOW"}, {"set TX_PWR MEDIUM", false, s, "MEDIUM"}, {"renew TX_PWR LOW 30s", true, 60 * s, "MEDIUM"}},
		"a person wants the same, for ever": {{"set TX_PWR LOW 30s", false, s, "LOW"}, {"set TX_PWR LOW", false, s, "LOW"}, {"renew TX_PWR LOW 30s", true, 24 * time.Hour, "LOW"}},
		"back to what a person set":         {{"set TX_PWR MEDIUM", false, s, "MEDIUM"}, {"set TX_PWR LOW 30s", false, s, "LOW"}, {"", false, 30 * s, "MEDIUM"}},
		"back over two leases":              {{"set TX_PWR MEDIUM 30s", false, s, "MEDIUM"}, {"set TX_PWR LOW 30s", false, 29 * s, "LOW"}, {"", false, 2 * s, "HIGH"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, radio := panel(t)
				defer p.Close()
				for _, step := range steps {
					if step.command != "" {
						if got := p.Answer("mlsysops knobs " + step.command); strings.HasPrefix(got, "error: ") != step.refused {
							t.Errorf("%s: %s", step.command, got)
						}
					}
					time.Sleep(step.wait)
					at(t, p, radio, step.want)
				}
			})
		})
	}
}

// After a restart nothing is known of a lease: the new panel turns to the defaults before anybody can ask.
func TestLeaseDoesNotOutliveTheDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, radio := panel(t)
		p.Answer("mlsysops knobs set TX_PWR LOW 30s")
		p.Close()
		time.Sleep(time.Hour)
		at(t, p, radio, "LOW") // a device that ends leaves the radio alone
		p, radio = panel(t)
		at(t, p, radio, "HIGH")
		if got := p.Answer("mlsysops knobs renew TX_PWR LOW 30s"); got != "error: there is no such setting to renew: TX_PWR is at HIGH\n" {
			t.Errorf("got %q", got)
		}
	})
}

func TestLeaseOfARadioThatIsOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, radio := panel(t)
		defer p.Close()
		p.Answer("mlsysops knobs set TX_PWR LOW 30s")
		radio.power(true)
		time.Sleep(time.Minute)
		at(t, p, radio, "LOW") // it could not be turned, and says so
		radio.power(false)
		time.Sleep(retryExpiry)
		at(t, p, radio, "HIGH")
	})
}

// What one holds nobody else gets under a lease; who sets it without one overrules them all.
func TestHolders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, radio := panel(t)
		defer p.Close()
		const none = "Knob ID | Value | Lease | Holder\n-----\n"
		for _, step := range []struct{ command, want string }{
			{"leases", none},
			{"set TX_PWR LOW 90s node-1", "TX_PWR | LOW\n"},
			{"set TX_PWR MEDIUM 30s node-2", "error: TX_PWR is held by node-1 for 1m30s more\n"},
			{"set TX_PWR MEDIUM 30s", "error: TX_PWR is held by node-1 for 1m30s more\n"},
			{"renew TX_PWR LOW 30s node-2", "error: TX_PWR is held by node-1 for 1m30s more\n"},
			{"renew TX_PWR LOW 100s node-1", "TX_PWR | LOW\n"},
			{"set SAMPLE_INTERVAL 2 1h", "SAMPLE_INTERVAL | 2\n"},
			{"leases", none + "TX_PWR | LOW | 1m40s | node-1\nSAMPLE_INTERVAL | 2 | 1h0m0s | \n"},
			{"set SAMPLE_INTERVAL 3 1m node-2", "SAMPLE_INTERVAL | 3\n"}, // nobody's
			{"set TX_PWR MEDIUM", "TX_PWR | MEDIUM\n"},
			{"renew TX_PWR MEDIUM 30s node-1", "error: there is no such setting to renew: TX_PWR is at MEDIUM without a lease\n"},
			{"set TX_PWR LOW 30s node-2", "TX_PWR | LOW\n"},
			{"leases", none + "TX_PWR | LOW | 30s | node-2\nSAMPLE_INTERVAL | 3 | 1m0s | node-2\n"},
		} {
			if got := p.Answer("mlsysops knobs " + step.command); got != step.want {
				t.Errorf("%s:\n%swant\n%s", step.command, got, step.want)
			}
		}
		time.Sleep(2 * time.Minute)
		at(t, p, radio, "MEDIUM")
		if got := p.Answer("mlsysops knobs leases"); got != none {
			t.Errorf("after them all: %s", got)
		}
	})
}

// A hold without an end is what policies on the device have.
func TestGiveBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, radio := panel(t)
		defer p.Close()
		p.Answer("mlsysops knobs set TX_PWR MEDIUM")
		if err := p.SetFor("TX_PWR", "LOW", Lease{Holder: "package-1"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * MaxLease)
		at(t, p, radio, "LOW")
		if got := p.Answer("mlsysops knobs set TX_PWR HIGH 30s node-1"); got != "error: TX_PWR is held by package-1\n" {
			t.Errorf("got %q", got)
		}
		for _, step := range []struct{ holder, want string }{{"node-1", "LOW"}, {"package-1", "MEDIUM"}, {"package-1", "MEDIUM"}} {
			if err := p.GiveBack("TX_PWR", step.holder); err != nil {
				t.Fatal(err)
			}
			at(t, p, radio, step.want)
		}
		if err := p.Reset("TX_PWR"); err != nil {
			t.Fatal(err)
		}
		at(t, p, radio, "HIGH")
	})
}

func TestWhatCannotBeTurned(t *testing.T) {
	p, radio := panel(t)
	radio.power(true)
	if got := p.Answer("mlsysops knobs set TX_PWR LOW"); got != "error: turn TX_PWR to LOW: the radio is off\n" {
		t.Errorf("got %q", got)
	}
	if v, _ := p.Get("TX_PWR"); v != "HIGH" {
		t.Errorf("got %s", v)
	}
	if _, err := NewPanel(Knob{Name: "B", Choices: []string{"x"}, Default: "z"}); err == nil {
		t.Error("a default that the knob does not take")
	}
}

func TestObject(t *testing.T) {
	p, _ := panel(t)
	s := NewShell(p)
	var told []lwm2m.Path
	s.Announce(func(p lwm2m.Path) { told = append(told, p) })
	data := lwm2m.PathOf(19, 0, 0)
	write := func(p lwm2m.Path, text string) error {
		return s.Write(p, lwm2m.Tree{{Path: p, Value: lwm2m.OpaqueString(text)}}, client.Replace)
	}
	if err := write(data.Child(0), "mlsysops knobs get TX_PWR"); err != nil {
		t.Fatal(err)
	}
	tree, err := s.Read(nil, data)
	if v, _ := tree.Value(data.Child(1)); err != nil || v.Text() != "TX_PWR | HIGH\n" || len(told) != 1 {
		t.Errorf("got %v, %v, told %v", tree, err, told)
	}
	if err := write(data.Child(1), "x"); !errors.Is(err, client.ErrNotAllowed) {
		t.Errorf("writing the answer: %v", err)
	}
	if err := write(data.Child(0), strings.Repeat("x", 300)); !errors.Is(err, client.ErrTooLarge) {
		t.Errorf("a long command: %v", err)
	}
}

func FuzzAnswer(f *testing.F) {
	for _, s := range []string{"mlsysops knobs list", "mlsysops knobs set TX_PWR LOW 30s", "mlsysops knobs renew TX_PWR LOW 30s", "mlsysops knobs set TX_PWR LOW 30s node-1", "mlsysops knobs leases", "mlsysops knobs set SAMPLE_INTERVAL 1e3", "\xff", "help"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, command string) {
		p, _ := panel(t)
		defer p.Close()
		answer := p.Answer(command)
		if answer == "" || answer[len(answer)-1] != '\n' {
			t.Errorf("%q answers %q", command, answer)
		}
		for _, k := range p.Knobs() {
			v, err := p.Get(k.Name)
			if _, bad := k.takes(v); err != nil || bad != nil {
				t.Errorf("%q left %s at %q", command, k.Name, v)
			}
		}
	})
}
