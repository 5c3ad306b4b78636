//go:build linux

package daemon

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/edgehold/edgehold/agents/api"
)

// A kill lands in another step each time, as its delay is random. The seed is logged, though it does not make a failure
// repeat: the daemon has a pace of its own.

func TestKilledWhileItTakesAPolicyIn(t *testing.T) {
	h := newHome(t)
	random := seeded(t)
	d := h.start(t)
	h.upload(t, 0)
	accepted, span := h.upload(t, 1) // the first one also warms the disk's cache
	for i := 2; i < 2+rounds; i++ {
		done := make(chan error, 1)
		version := fmt.Sprintf("1.0.%d", i)
		module := pulse(t, version)
		go func() {
			_, err := h.api.UploadPolicy(t.Context(), module, api.UploadOptions{})
			done <- err
		}()
		if i%2 == 0 { // between storing and answering
			h.awaitModule(t, module)
			time.Sleep(random(50 * time.Millisecond))
		} else {
			time.Sleep(random(span))
		}
		d.kill()
		answer := <-done
		d = h.start(t)
		h.vouch(t)
		now := h.active(t)
		t.Logf("killed in the upload of %s: %v", version, answer)
		switch {
		case now == version: // even without an answer: that may have been lost, or the rollout was taken up again
		case answer == nil:
			t.Fatalf("version %s was accepted and is not active after the kill: %s is", version, now)
		case now != accepted:
			t.Fatalf("version %s was not accepted (%v), and now %q is active, not %s", version, answer, now, accepted)
		}
		accepted = now
	}
	h.wantDecisions(t)
}

func TestKilledWhileItDecides(t *testing.T) {
	h := newHome(t)
	random := seeded(t)
	d := h.start(t)
	original := h.limit(t)
	h.upload(t, 0)
	h.wantDecisions(t)
	for range rounds {
		time.Sleep(random(400 * time.Millisecond))
		d.kill()
		turned := h.limit(t)
		t.Logf("killed with the knob at %d kHz", turned)
		d = h.start(t)
		if turned != original && !h.decided(t, turned) {
			t.Errorf("the knob was turned to %d kHz, and no decision says so", turned)
		}
		h.wantDecisions(t)
	}
	d.signal(syscall.SIGTERM)
	h.start(t)
	h.wantNoRepetition(t)
	if v, err := h.api.VerifyAudit(t.Context()); err != nil || !v.Whole {
		t.Errorf("the audit is not whole: %+v, %v", v, err)
	}
}

// The first turn after a start is the moment when the guard has had the least time to get ready.
func TestKilledForGood(t *testing.T) {
	h := newHome(t)
	original := h.limit(t)
	for round := range 3 {
		d := h.start(t)
		if round == 0 {
			h.upload(t, 0)
		}
		h.wantTurned(t, original)
		d.kill()
		h.wantBack(t, original)
	}
}

func TestGuardKilledBeforeTheDaemon(t *testing.T) {
	h := newHome(t)
	original := h.limit(t)
	d := h.start(t)
	h.upload(t, 0)
	h.wantTurned(t, original)
	first := h.guard(t)
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "there is another guard", func() bool { g := h.guard(t); return g != 0 && g != first })
	h.wantDecisions(t)
	d.kill()
	h.wantBack(t, original)
}

func TestDaemonThatHangs(t *testing.T) {
	const lease = 2 * time.Second
	h := newHome(t)
	h.configure(t, settings{lease: lease})
	original := h.limit(t)
	d := h.start(t)
	h.upload(t, 0)
	h.wantTurned(t, original)
	if err := d.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the lease of a daemon that hangs ends", func() bool { return h.limit(t) == original })
	if err := d.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	h.wantTurned(t, original)
	h.wantDecisions(t)
}

func TestStoppedOnPurpose(t *testing.T) {
	h := newHome(t)
	d := h.start(t)
	original := h.limit(t)
	h.upload(t, 0)
	h.wantTurned(t, original)
	if code := d.signal(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if got := h.limit(t); got != original {
		t.Errorf("the knob is at %d kHz, want %d", got, original)
	}
	eventually(t, "the guard has ended", func() bool { return len(h.processes(t)) == 0 })
	d = h.start(t)
	if got := h.active(t); got != "1.0.0" {
		t.Errorf("after the restart version %q is active", got)
	}
	h.wantDecisions(t)
	d.signal(syscall.SIGTERM)
}

// rounds is how often each loop kills the daemon.
const rounds = 10

// seeded returns durations below a bound.
func seeded(t *testing.T) func(below time.Duration) time.Duration {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	return func(below time.Duration) time.Duration { return time.Duration(r.Int64N(int64(below))) }
}

// upload uploads version 1.0.n, which must be accepted, and tells how long that took.
func (h *home) upload(t *testing.T, n int) (version string, took time.Duration) {
	t.Helper()
	version = fmt.Sprintf("1.0.%d", n)
	module := pulse(t, version)
	begun := time.Now()
	if _, err := h.api.UploadPolicy(t.Context(), module, api.UploadOptions{}); err != nil {
		t.Fatalf("upload %s: %v", version, err)
	}
	return version, time.Since(begun)
}

// vouch ends a version's probation, in which a second kill would be held against it.
func (h *home) vouch(t *testing.T) {
	t.Helper()
	h.wantDecisions(t) // so that the daemon has taken up what it left
	if r := h.rollout(t); r.Over {
		return
	}
	if _, err := h.api.SteerRollout(t.Context(), "pulse", api.RolloutOrder{Verb: api.RolloutPromote}); err != nil {
		t.Fatal(err)
	}
}

// awaitModule waits until the daemon has stored a module.
func (h *home) awaitModule(t *testing.T, module []byte) {
	t.Helper()
	file := h.path("state/modules", fmt.Sprintf("sha256-%x.wasm", sha256.Sum256(module)))
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if _, err := os.Stat(file); err == nil {
			return
		}
	}
	t.Fatalf("there is no %s", file)
}

// active is the version that decides, empty when the daemon has no such policy.
func (h *home) active(t *testing.T) (version string) {
	t.Helper()
	p, err := h.api.Policy(t.Context(), "pulse")
	var problem *api.Problem
	if errors.As(err, &problem) && problem.Status == 404 {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return p.ActiveVersion
}

// wantDecisions waits for a decision that is newer than those there are.
func (h *home) wantDecisions(t *testing.T) {
	t.Helper()
	begun := time.Now()
	eventually(t, "a new decision turns the knob", func() bool {
		page, err := h.api.Decisions(t.Context(), api.DecisionFilter{Policy: "pulse", Since: begun, Outcomes: []api.DecisionOutcome{api.DecisionApplied}})
		if err != nil {
			t.Fatal(err)
		}
		return len(page.Items) > 0
	})
}

// decided reports whether one of the newest decisions plans the limit.
func (h *home) decided(t *testing.T, kHz int) bool {
	t.Helper()
	for _, limit := range h.planned(t, 100) {
		if limit == kHz {
			return true
		}
	}
	return false
}

// wantNoRepetition expects what the policy remembers to have survived: it counts, and would plan a value again otherwise.
func (h *home) wantNoRepetition(t *testing.T) {
	t.Helper()
	by := map[int]string{}
	for id, limit := range h.planned(t, 500) {
		if other := by[limit]; other != "" {
			t.Errorf("decisions %s and %s both turned the knob to %d kHz", other, id, limit)
		}
		by[limit] = id
	}
	t.Logf("%d decisions turned the knob", len(by))
}

// planned maps the newest decisions to the limits, in kHz, that they planned.
func (h *home) planned(t *testing.T, newest int) map[string]int {
	t.Helper()
	page, err := h.api.Decisions(t.Context(), api.DecisionFilter{Policy: "pulse", Limit: newest})
	if err != nil {
		t.Fatal(err)
	}
	limits := map[string]int{}
	for _, item := range page.Items {
		d, err := h.api.Decision(t.Context(), item.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, change := range d.Plan {
			if change.Value.Number != nil {
				limits[item.ID] = int(*change.Value.Number / 1000)
			}
		}
	}
	return limits
}

// wantTurned waits until the policy has turned the knob.
func (h *home) wantTurned(t *testing.T, original int) {
	t.Helper()
	eventually(t, "the knob is turned", func() bool { return h.limit(t) != original })
}

// wantBack expects the knob to go back by itself after a while, and nothing of the daemon to stay.
func (h *home) wantBack(t *testing.T, original int) {
	t.Helper()
	begun := time.Now()
	eventually(t, "the knob is back", func() bool { return h.limit(t) == original })
	t.Logf("the knob was back after %v", time.Since(begun).Round(10*time.Millisecond))
	eventually(t, "nothing of the daemon runs any more", func() bool { return len(h.processes(t)) == 0 })
}

// guard is the process id of the guard, 0 when there is none.
func (h *home) guard(t *testing.T) (pid int) {
	t.Helper()
	for _, p := range h.processes(t) {
		arguments, _ := os.ReadFile(filepath.Join("/proc", p, "cmdline"))
		if strings.Contains(string(arguments), "\x00guard\x00") {
			pid, _ = strconv.Atoi(p)
		}
	}
	return pid
}

// processes lists the processes that run this home's programs: daemons, guards, compilers.
func (h *home) processes(t *testing.T) (pids []string) {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		exe, _ := os.Readlink(l)
		arguments, _ := os.ReadFile(filepath.Join(filepath.Dir(l), "cmdline"))
		if exe == h.bin && strings.Contains(string(arguments), h.dir) {
			pids = append(pids, filepath.Base(filepath.Dir(l)))
		}
	}
	return pids
}
