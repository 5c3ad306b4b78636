package record

import (
	"context"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/edgehold/edgehold/host"
)

func TestMain(m *testing.M) {
	host.RunChild()
	goleak.VerifyTestMain(m)
}

var _ host.Recorder = (*Recorder)(nil)

func newRuntime(t testing.TB, c host.Config) *host.Runtime {
	t.Helper()
	c.CacheDir = os.Getenv("EDGEHOLD_TEST_CACHE")
	if c.CacheDir == "" {
		c.CacheDir = t.TempDir()
	}
	r, err := host.New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return r
}
