package sources

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"go.uber.org/goleak"

	"github.com/edgehold/edgehold/telemetry/ring"
)

var update = flag.Bool("update", false, "rewrite golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recordedTree writes the recorded machine to a folder and returns it.
func recordedTree(t testing.TB) string {
	t.Helper()
	archive, err := txtar.ParseFile("testdata/host.txtar")
	must(t, err)
	root := t.TempDir()
	for _, f := range archive.Files {
		write(t, filepath.Join(root, f.Name), f.Data)
	}
	device := filepath.Join(root, "sys/devices/i2c-0/0-0040")
	must(t, os.MkdirAll(device, 0o755))
	must(t, os.Symlink(device, filepath.Join(root, "sys/class/hwmon/hwmon3/device")))
	return root
}

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, data, 0o644))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newRing(t testing.TB) *ring.Store {
	t.Helper()
	store, err := ring.New(ring.Config{})
	must(t, err)
	return store
}

// hostOnly leaves out what describes the test process and not the tree.
func hostOnly(root string) []Source {
	return slices.DeleteFunc(Host{Root: root}.Sources(), func(s Source) bool { return s.Describe().Name == "process" })
}

func render(t testing.TB, store *ring.Store, prefix string) string {
	t.Helper()
	samples, err := store.Latest("")
	must(t, err)
	var b strings.Builder
	for _, s := range samples {
		if !strings.HasPrefix(s.Name, prefix) {
			continue
		}
		var labels []string
		for _, l := range s.Labels {
			labels = append(labels, fmt.Sprintf("%s=%q", l.Name, l.Value))
		}
		fmt.Fprintf(&b, "%s{%s} %v\n", s.Name, strings.Join(labels, ","), s.Value)
	}
	return b.String()
}

func TestRecordedTree(t *testing.T) {
	store := newRing(t)
	root := recordedTree(t)
	now := time.Now()
	runner, err := New(store, Config{Clock: func() time.Time { return now }}, hostOnly(root)...)
	must(t, err)
	runner.Collect()
	write(t, filepath.Join(root, "proc/stat"), []byte("cpu  1090 50 300 8100 210 10 40 5 0 0\ncpu0 690 25 150 4000 110 5 20 5\ncpu1 400 25 150 4100 100 5 20 0\n"))
	now = now.Add(time.Second)
	runner.Collect()

	got := render(t, store, "node_")
	const golden = "testdata/host.golden"
	if *update {
		must(t, os.WriteFile(golden, []byte(got), 0o644))
	}
	want, err := os.ReadFile(golden)
	must(t, err)
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, s := range runner.Status() {
		if s.Err != nil {
			t.Errorf("source %s: %v", s.Name, s.Err)
		}
	}
	for _, n := range store.Names() {
		if n.Meta.Kind == ring.Untyped || n.Meta.Help == "" {
			t.Errorf("%s is not described", n.Name)
		}
	}
}

func TestEmptyTree(t *testing.T) {
	runner, err := New(newRing(t), Config{}, hostOnly(t.TempDir())...)
	must(t, err)
	runner.Collect()
	for _, s := range runner.Status() {
		if s.Name != "sources" && s.Name != "filesystem" && s.Err == nil {
			t.Errorf("source %s found something in an empty folder", s.Name)
		}
	}
}

func TestThisMachine(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs Linux for /proc")
	}
	store := newRing(t)
	runner, err := New(store, Config{}, Host{State: t.TempDir()}.Sources()...)
	must(t, err)
	runner.Collect()
	for _, name := range []string{"node_load1", "node_cpu_seconds_total", "node_memory_MemTotal_bytes", "process_resident_memory_bytes", "node_filesystem_avail_bytes"} {
		if got, err := store.Latest(name); err != nil || len(got) == 0 {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

// FuzzTree puts hostile contents into one file of the tree after another.
func FuzzTree(f *testing.F) {
	archive, err := txtar.ParseFile("testdata/host.txtar")
	must(f, err)
	root := recordedTree(f)
	for i, file := range archive.Files {
		f.Add(uint8(i), file.Data)
	}
	f.Add(uint8(1), []byte("cpu nan inf -1 0x1p9 1e400\ncpu99999 1 2 3 4\ncpu"))
	f.Add(uint8(2), []byte("MemTotal: -1 kB\nMemAvailable: 5 kB\n: 3\n"))
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		file := archive.Files[int(which)%len(archive.Files)]
		path := filepath.Join(root, file.Name)
		write(t, path, data)
		defer write(t, path, file.Data)
		store := newRing(t)
		runner, err := New(store, Config{}, hostOnly(root)...)
		must(t, err)
		runner.Collect()
		for _, s := range runner.Status() {
			if s.Err != nil && strings.Contains(s.Err.Error(), "panic") {
				t.Errorf("%v", s.Err)
			}
		}
	})
}

func BenchmarkCollect(b *testing.B) {
	for _, source := range (Host{State: b.TempDir()}).Sources() {
		b.Run(source.Describe().Name, func(b *testing.B) {
			runner, err := New(newRing(b), Config{}, source)
			must(b, err)
			b.ReportAllocs()
			for b.Loop() {
				runner.workers[0].collect()
			}
		})
	}
}
