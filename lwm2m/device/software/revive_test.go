package software

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// fails sets what a start comes to.
func (w *workloads) fails(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fail = err
}

// What does not start after a restart is tried again later, unless a server has said something else meanwhile.
func TestStartIsTriedAgainAfterARestart(t *testing.T) {
	for name, test := range map[string]struct {
		meanwhile func(b *bench) error
		active    bool
	}{
		"busy for a while": {func(*bench) error { return nil }, true},
		"deactivated":      {func(b *bench) error { return b.execute(1, resDeactivate, "") }, false},
		"deleted":          {func(b *bench) error { return b.Delete(instance(1)) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				b.must(b.Create(instance(1), nil))
				b.must(blocks(b.Manager, 1, packed(t, "1.0.0", 1), 0))
				b.must(b.execute(1, resInstall, ""))
				b.must(b.execute(1, resActivate, ""))
				b.restartWith(&workloads{running: map[uint16]string{}, fail: errors.New("its time was up")})
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- b.Run(ctx) }()
				time.Sleep(20 * time.Second)
				synctest.Wait()
				b.want(1, Installed, ResultInstalled, false)
				if got := b.read(1, resReason).Text(); got != "its time was up" {
					t.Errorf("got %q", got)
				}
				b.must(test.meanwhile(b))
				b.w.fails(nil)
				time.Sleep(time.Minute)
				synctest.Wait()
				if _, runs := b.w.Status(1); runs != test.active {
					t.Errorf("it runs: %v, want %v", runs, test.active)
				}
				if test.active {
					b.want(1, Installed, ResultInstalled, true)
				}
				cancel()
				<-ended
			})
		})
	}
}
