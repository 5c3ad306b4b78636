package knob

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// panel has the two knobs of a sensor, and tells what they were turned to.
func panel(t testing.TB) (*Panel, map[string]string) {
	at := map[string]string{}
	knob := func(k Knob) Knob {
		k.Apply = func(v string) error {
			at[k.Name] = v
			return nil
		}
		return k
	}
	p, err := NewPanel(
		knob(Knob{Name: "TX_PWR", Choices: []string{"LOW", "MEDIUM", "HIGH"}, Default: "HIGH"}),
		knob(Knob{Name: "SAMPLE_INTERVAL", Min: 1, Max: 3600, Unit: "s", Default: "10"}))
	if err != nil {
		t.Fatal(err)
	}
	return p, at
}

func TestShell(t *testing.T) {
	p, _ := panel(t)
	for _, step := range []struct{ command, want string }{
		{"mlsysops knobs list", "Knob ID | Value\n-----\nTX_PWR | HIGH\nSAMPLE_INTERVAL | 10\n"},
		{"mlsysops knobs set TX_PWR LOW", "TX_PWR | LOW\n"},
		{"mlsysops knobs get TX_PWR", "TX_PWR | LOW\n"},
		{" mlsysops  knobs get TX_PWR\n", "TX_PWR | LOW\n"},
		{"mlsysops knobs set SAMPLE_INTERVAL 2.50", "SAMPLE_INTERVAL | 2.5\n"},
		{"mlsysops knobs options", "Knob ID | Values | Default | Unit\n-----\nTX_PWR | LOW,MEDIUM,HIGH | HIGH | \nSAMPLE_INTERVAL | 1..3600 | 10 | s\n"},
	} {
		if got := p.Answer(step.command); got != step.want {
			t.Errorf("%s:\n%swant\n%s", step.command, got, step.want)
		}
	}
	for _, bad := range []string{"", "rm -rf /", "mlsysops", "mlsysops knobs", "mlsysops knobs get", "mlsysops knobs get X", "mlsysops knobs set TX_PWR",
		"mlsysops knobs set TX_PWR FULL", "mlsysops knobs set SAMPLE_INTERVAL 0", "mlsysops knobs set SAMPLE_INTERVAL NaN",
		"mlsysops knobs set TX_PWR LOW -1s", "mlsysops knobs set TX_PWR LOW soon", "mlsysops knobs set TX_PWR LOW 48h", "mlsysops knobs list all", strings.Repeat("x", 10_000)} {
		if got := p.Answer(bad); bad != "mlsysops" && !strings.HasPrefix(got, "error: ") || len(got) > 300 {
			t.Errorf("%.60q: got %q", bad, got)
		}
	}
	if v, _ := p.Get("TX_PWR"); v != "LOW" {
		t.Errorf("what failed turned the knob to %s", v)
	}
}

func TestLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, at := panel(t)
		defer p.Close()
		p.Answer("mlsysops knobs set TX_PWR LOW 30s")
		time.Sleep(20 * time.Second)
		p.Answer("mlsysops knobs set TX_PWR LOW 30s") // renewed
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if v, _ := p.Get("TX_PWR"); v != "LOW" {
			t.Errorf("a lease that was renewed ended: %s", v)
		}
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if v, _ := p.Get("TX_PWR"); v != "HIGH" || at["TX_PWR"] != "HIGH" {
			t.Errorf("after its lease the knob is at %s, the radio at %s", v, at["TX_PWR"])
		}
		p.Answer("mlsysops knobs set TX_PWR MEDIUM 30s")
		p.Answer("mlsysops knobs set TX_PWR MEDIUM") // for ever
		time.Sleep(time.Hour)
		synctest.Wait()
		if v, _ := p.Get("TX_PWR"); v != "MEDIUM" {
			t.Errorf("got %s", v)
		}
	})
}

func TestWhatCannotBeTurned(t *testing.T) {
	fail := false
	p, err := NewPanel(Knob{Name: "A", Choices: []string{"x", "y"}, Default: "x", Apply: func(string) error {
		if fail {
			return errors.New("the radio is off")
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	fail = true
	if got := p.Answer("mlsysops knobs set A y"); got != "error: turn A to y: the radio is off\n" {
		t.Errorf("got %q", got)
	}
	if v, _ := p.Get("A"); v != "x" {
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
	for _, s := range []string{"mlsysops knobs list", "mlsysops knobs set TX_PWR LOW 30s", "mlsysops knobs set SAMPLE_INTERVAL 1e3", "\xff", "help"} {
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
