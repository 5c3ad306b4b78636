package plug

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/host/record"
	"github.com/edgehold/edgehold/mechanisms"
)

func TestLastFailureOfAnAdapterIsKept(t *testing.T) {
	now := time.Unix(1e9, 0)
	b := &Board{Config{Dir: t.TempDir(), Now: func() time.Time { return now }, Logger: slog.New(slog.DiscardHandler)}}
	keep := b.KeepFailures("plug", func() Prepared { return nil })
	path := b.path("plug", failureEnding)
	seed := func() uint64 {
		t.Helper()
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		e, err := record.Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		return e.Seed
	}
	episode := func(seed uint64) *record.Episode {
		const digest = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
		return &record.Episode{Module: digest, Image: digest, Time: now, Seed: seed}
	}
	for _, harmless := range []error{nil, fmt.Errorf("off: %w", mechanisms.ErrUnavailable), &host.CallError{Kind: host.Unsupported}} {
		keep(episode(1), harmless)
	}
	if _, err := os.Stat(path); err == nil {
		t.Fatal("what is no fault is kept")
	}
	keep(episode(2), &host.CallError{Kind: host.Trap})
	keep(episode(3), errors.New("too soon after the first"))
	if got := seed(); got != 2 {
		t.Errorf("got the operation with seed %d", got)
	}
	now = now.Add(failureEvery)
	keep(episode(4), errors.New("later"))
	if got := seed(); got != 4 {
		t.Errorf("got the operation with seed %d", got)
	}
	if err := b.Forget("plug"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("it outlives the adapter")
	}
}
