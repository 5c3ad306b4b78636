package node

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/telemetry/ring"
)

// TestEverythingAtOnce has people, metrics and the end of the agent meet: whatever they do to each other, every refusal has
// a code, nothing waits for ever, and the knobs are where they were when all is over.
func TestEverythingAtOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("hammers for seconds")
	}
	r := newRig(t)
	versions := [][]byte{module(t, "01-cpu-boost"), module(t, "03-worse")}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	var all sync.WaitGroup
	hammer := func(what string, f func(context.Context) error) {
		all.Go(func() {
			for ctx.Err() == nil {
				one, cancel := context.WithTimeout(ctx, time.Duration(rand.IntN(200))*time.Millisecond)
				err := f(one)
				cancel()
				var coded interface{ ErrorCode() string }
				if err != nil && !errors.As(err, &coded) && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%s: %v has no code", what, err)
				}
			}
		})
	}
	const name = "cpu-boost"
	by := api.DaemonActor
	for i, raw := range versions {
		hammer("upload", func(ctx context.Context) error {
			_, err := r.Policies.Upload(ctx, raw, api.UploadOptions{Parameters: map[string]float64{"calm": float64(i)}}, by)
			return err
		})
	}
	hammer("enable", func(ctx context.Context) error { _, err := r.Policies.Enable(ctx, name, by); return err })
	hammer("disable", func(ctx context.Context) error { _, err := r.Policies.Disable(ctx, name, by); return err })
	hammer("roll back", func(ctx context.Context) error { _, err := r.Policies.Rollback(ctx, name, "", by); return err })
	hammer("delete", func(ctx context.Context) error {
		time.Sleep(300 * time.Millisecond)
		return r.Policies.Delete(ctx, name, by)
	})
	hammer("list", func(ctx context.Context) error { _, err := r.Policies.List(ctx); return err })
	hammer("replay", func(ctx context.Context) error {
		page, err := r.Decisions.List(ctx, api.DecisionFilter{Limit: 5})
		if err == nil && len(page.Items) > 0 {
			_, err = r.Decisions.Replay(ctx, page.Items[0].ID, api.ReplayRequest{})
		}
		return err
	})
	hammer("mode", func(ctx context.Context) error {
		_, err := r.Mode.Set(ctx, []api.ModeName{"heuristic", "ml"}[rand.IntN(2)], by)
		return err
	})
	hammer("metrics", func(context.Context) error {
		time.Sleep(2 * time.Millisecond)
		return r.telemetry.Store().Append("node_cpu_utilisation_ratio", []ring.Label(nil), time.Now().UnixMilli(), rand.Float64())
	})
	all.Wait()
	if _, err := r.Policies.Upload(t.Context(), versions[0], api.UploadOptions{Parameters: map[string]float64{"calm": 0}}, by); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Policies.Enable(t.Context(), name, by); err != nil {
		t.Fatal(err)
	}
	r.busy(0.95)
	r.await("a busy node has its limit raised", func() bool { return r.limit() == fast })
	r.busy(0.05)
	r.await("a calm one has it lowered", func() bool { return r.limit() == slow })
	r.stop()
	if got := r.limit(); got != fast {
		t.Errorf("after the end: got %d kHz, want %d", got, fast)
	}
}
