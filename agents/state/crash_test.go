package state

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/edgehold/edgehold/agents/state/crashtest"
)

// crashChild changes the state for ever and says what was acknowledged.
func crashChild(dir string) {
	ctx := context.Background()
	d, err := Open(ctx, dir, Options{AuditMax: 20, AuditFiles: 2})
	if err != nil {
		fmt.Println("fatal", err)
		os.Exit(1)
	}
	say := func(err error, format string, args ...any) {
		if err != nil {
			fmt.Println("fatal", err)
			os.Exit(1)
		}
		fmt.Printf(format+"\n", args...)
	}
	count := 0
	if b, found, err := d.Contexts().Load(ctx, "counter", "node", 1); err == nil && found {
		_, _ = fmt.Sscanf(string(b), "%d", &count)
	}
	for {
		policy := fmt.Sprintf("p%d", rand.IntN(3))
		b := make([]byte, 1+rand.IntN(20_000))
		for i := range b {
			b[i] = byte(rand.Uint32())
		}
		v, err := d.Accept(ctx, Version{Policy: policy, Version: "v", By: "child"}, b)
		say(err, "accepted %s %s", policy, v.Digest)
		fmt.Printf("activating %s %s\n", policy, v.Digest)
		say(d.Activate(ctx, policy, v.Digest), "active %s %s", policy, v.Digest)
		say(d.Audit(ctx, Entry{Actor: "child", Action: "activate"}), "audited")
		d.Contexts().Save("counter", "node", 1, fmt.Appendf(nil, "%09d", count))
		say(d.SetSetting(ctx, "any", "transaction"), "counted %09d", count)
		count++
		if rand.IntN(4) == 0 {
			_, err := d.Collect(ctx, 1_000)
			say(err, "collected")
		}
	}
}

// acknowledged is what children were told has happened.
type acknowledged struct {
	accepted   map[string]string // digest to policy
	active     map[string]string // policy to digest
	activating map[string]string // asked for, perhaps done
	counted    string            // the newest context
}

func (a *acknowledged) hear(t *testing.T, line string) {
	f := strings.Fields(line)
	switch {
	case len(f) == 0:
	case f[0] == "fatal":
		t.Fatal(line)
	case f[0] == "accepted" && len(f) == 3:
		a.accepted[f[2]] = f[1]
	case f[0] == "counted" && len(f) == 2:
		a.counted = f[1]
	case f[0] == "activating" && len(f) == 3:
		a.activating[f[1]] = f[2]
	case f[0] == "active" && len(f) == 3:
		a.active[f[1]] = f[2]
	}
}

func TestKillLosesNothingAcknowledged(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs SIGKILL")
	}
	dir := t.TempDir()
	a := &acknowledged{accepted: map[string]string{}, active: map[string]string{}, activating: map[string]string{}}
	for n := 0; n < 6 || len(a.accepted) < 20; n++ { // however slow the machine
		crashtest.KillOnce(t, dir, func(line string) { a.hear(t, line) })
		verify(t, dir, a)
	}
}

func verify(t *testing.T, dir string, a *acknowledged) {
	t.Helper()
	d := open(t, dir, Options{AuditMax: 20, AuditFiles: 2})
	defer func() { must(t, d.Close()) }()
	r := d.Report()
	if !r.Unclean || r.SetAside != "" || len(r.Warnings) > 0 {
		t.Errorf("report %+v", r)
	}
	for digest, policy := range a.accepted {
		if _, err := d.Module(digest); err != nil {
			t.Errorf("accepted module is lost: %v", err)
		}
		if _, err := versionIn(t.Context(), d.read, policy, digest); err != nil {
			t.Errorf("accepted version is lost: %v", err)
		}
	}
	for policy, digest := range a.active {
		p, err := d.Policy(t.Context(), policy)
		must(t, err)
		if p.Active != digest && p.Active != a.activating[policy] {
			t.Errorf("%s: active is %s, acknowledged was %s", policy, p.Active, digest)
		}
		a.active[policy] = p.Active
	}
	count, _, err := d.Contexts().Load(t.Context(), "counter", "node", 1)
	must(t, err)
	if string(count) < a.counted {
		t.Errorf("context is %s, and was %s in an acknowledged transaction", count, a.counted)
	}
	if _, err := d.VerifyAudit(t.Context()); err != nil {
		t.Error(err)
	}
}
