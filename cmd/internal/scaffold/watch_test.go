package scaffold

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A save is noticed wherever it happens, in folders that are made later too; what compilers write is not.
func TestWatch(t *testing.T) {
	dir := t.TempDir()
	write := func(name string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(t.Name()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("policy.c")
	ctx, cancel := context.WithCancel(t.Context())
	changed, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- Watch(ctx, dir, func() { changed <- struct{}{} })
	}()
	probe := func() { // a probe is repeated until the watch has begun
		for {
			write("policy.c")
			timer := time.After(4 * settle)
			select {
			case <-changed:
				return
			case <-timer:
			}
		}
	}
	probe()
	for _, name := range []string{"policy.yaml", "src/lib.rs", "src/deep/more.rs"} {
		write(name)
		<-changed
	}
	write("cpu-boost.wasm")
	write("target/release/x")
	write(".git/index")
	select {
	case <-changed:
		t.Error("what is not a source counted")
	case <-time.After(3 * settle):
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestWatchRefusals(t *testing.T) {
	wantCode(t, Watch(t.Context(), filepath.Join(t.TempDir(), "none"), func() {}), "scaffold.watch")
}
