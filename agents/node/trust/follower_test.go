package trust

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgehold/edgehold/agents/node/fault"
	"github.com/edgehold/edgehold/plugins/sign"
)

// stalled is a source that says nothing until it is told to stop.
type stalled struct{ asked int }

func (s *stalled) Metadata(ctx context.Context, _ string, _ int64) ([]byte, error) {
	s.asked++
	<-ctx.Done()
	return nil, ctx.Err()
}

func (s *stalled) Module(context.Context, sign.Assignment) ([]byte, error) {
	return nil, errors.New("never asked for")
}

// TestAStalledSourceIsAskedLessAndLess: rounds are bounded, and pauses grow to an hour.
func TestAStalledSourceIsAskedLessAndLess(t *testing.T) {
	operator := t.TempDir()
	repository, _, err := sign.Init(operator, sign.InitOptions{Keys: filepath.Join(operator, "keys"), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	pin, err := os.ReadFile(repository.PinPath())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		client, err := sign.Open(dir, pin, sign.Options{Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		source := new(stalled)
		f := NewFollower(&Judge{client: client}, FollowerConfig{Source: source, Interval: time.Minute, Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		if err := f.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if source.asked < 18 || source.asked > 35 {
			t.Errorf("asked %d times in a day, want about one each hour", source.asked)
		}
		if fault.Code(f.failed) != sign.CodeUnreachable {
			t.Errorf("got %v", f.failed)
		}
	})
}
