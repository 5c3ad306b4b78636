package node

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/node/config"
	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/mechanisms/cpufreq/trees"
	"github.com/edgehold/edgehold/plugins/pluginstest"
	"github.com/edgehold/edgehold/telemetry/ring"
)

func TestMain(m *testing.M) {
	host.RunChild()
	if len(os.Args) > 1 && os.Args[1] == GuardCommand {
		os.Exit(GuardMain(os.Args[2:]))
	}
	goleak.VerifyTestMain(m)
}

// module builds one of the examples.
func module(t *testing.T, example string) []byte {
	t.Helper()
	dir := filepath.Join("../../examples", example)
	return pluginstest.Pack(t, dir, pluginstest.Module(t, dir))
}

// patience is for what has to happen, on a machine that has other work.
const patience = 2 * time.Minute

// rig is a node on a recorded tree, without a host to measure: its metrics are what the test says.
type rig struct {
	*Node
	t      *testing.T
	config config.Config
	tree   string
	events chan api.Event
	stop   func()
}

func newRig(t *testing.T) *rig {
	t.Helper()
	return newRigWith(t, func(*config.Config) {})
}

// newRigWith is newRig with a change to its configuration.
func newRigWith(t *testing.T, change func(*config.Config)) *rig {
	t.Helper()
	dir := t.TempDir()
	r := &rig{t: t, tree: filepath.Join(dir, "tree"), events: make(chan api.Event, 1024)}
	if err := trees.Write(r.tree, "acpi-cpufreq"); err != nil {
		t.Fatal(err)
	}
	r.config = config.Config{Name: "test", StateDirectory: filepath.Join(dir, "state")}
	r.config.Guests.CompileTime = config.Duration(2 * time.Minute) // on a machine that has other work
	r.config.Guests.Deadline = config.Duration(patience)
	r.config.MechanismPlugins.Root = r.tree
	r.config.MechanismPlugins.Patience = config.Duration(patience)
	r.config.MechanismPlugins.GuardGrace = config.Duration(200 * time.Millisecond)
	r.config.Telemetry.Root = filepath.Join(dir, "nothing")
	if cache, err := os.UserCacheDir(); err == nil {
		r.config.Guests.CacheDirectory = filepath.Join(cache, "edgehold", "test-code") // a second run compiles nothing
	}
	r.config.API.Socket = filepath.Join(dir, "api.sock")
	change(&r.config)
	r.config.SetDefaults()
	r.start()
	t.Cleanup(func() { r.stop() })
	return r
}

// start opens and runs the node; r.stop ends it.
func (r *rig) start() {
	r.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	n, err := Open(ctx, r.config, Options{
		Version: "test", Logger: slog.New(slog.NewTextHandler(r.t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
		Publish: func(e api.Event) {
			select {
			case r.events <- e:
			default: // nobody listens
			}
		},
	})
	if err != nil {
		cancel()
		r.t.Fatal(err)
	}
	r.Node = n
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- n.Run(ctx, func() { close(ready) }) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			r.t.Errorf("run: %v", err)
		}
		if err := n.Close(context.Background()); err != nil {
			r.t.Errorf("close: %v", err)
		}
	})
	select {
	case <-ready:
	case err := <-ended:
		r.t.Fatalf("run: %v", err)
	}
}

// upload uploads an example, which has to be accepted.
func (r *rig) upload(example string) api.UploadResult {
	r.t.Helper()
	result, err := r.Policies.Upload(r.t.Context(), module(r.t, example), api.UploadOptions{}, api.Actor{Via: "unix", Role: api.RoleOperator})
	if err != nil {
		r.t.Fatalf("upload %s: %v", example, err)
	}
	return result
}

// busy says how busy the node's CPUs are.
func (r *rig) busy(ratio float64) {
	r.t.Helper()
	r.await("a sample has a millisecond of its own", func() bool {
		return r.telemetry.Store().Append("node_cpu_utilisation_ratio", []ring.Label(nil), time.Now().UnixMilli(), ratio) == nil
	})
}

// limit returns scaling_max_freq of the first CPU, in kHz.
func (r *rig) limit() int {
	r.t.Helper()
	raw, err := os.ReadFile(filepath.Join(r.tree, "sys/devices/system/cpu/cpufreq/policy0/scaling_max_freq"))
	if err != nil {
		r.t.Fatal(err)
	}
	kHz, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		r.t.Fatal(err)
	}
	return kHz
}

// await waits until something holds.
func (r *rig) await(what string, holds func() bool) {
	r.t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(patience)
	for !holds() {
		select {
		case <-tick.C:
		case <-timeout:
			r.t.Fatalf("waited in vain until %s", what)
		}
	}
}

// awaitEvent waits for an event of a kind.
func (r *rig) awaitEvent(kind string) api.Event {
	r.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case e := <-r.events:
			if e.Kind == kind {
				return e
			}
		case <-timeout:
			r.t.Fatalf("waited in vain for %s", kind)
		}
	}
}
