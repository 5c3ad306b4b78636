package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/wasmabi"
)

const (
	ourInstances   = 400
	theirInstances = 40
	gib            = 1 << 30
)

// density measures how many live instances of a Go guest, each called once, fit into a GiB. The pages that all of
// them share count once.
func density(ctx context.Context) (Measured, error) {
	ours, err := ourBytes(ctx)
	if err != nil {
		return Measured{}, err
	}
	theirs, err := theirBytes(ctx)
	return Measured{Ours: gib / ours, Theirs: gib / theirs}, err
}

// ourBytes returns what one instance takes.
func ourBytes(ctx context.Context) (float64, error) {
	p, err := prepareGo(ctx, host.Config{MaxInstances: ourInstances + 1})
	if err != nil {
		return 0, err
	}
	defer p.close(ctx)
	request := wasmabi.AppendObservation(nil, observation())
	before, err := memoryField("Pss")
	if err != nil {
		return 0, err
	}
	sessions := make([]*host.Session, ourInstances)
	for n := range sessions {
		if sessions[n], err = p.Begin(ctx, host.SessionConfig{}); err != nil {
			return 0, err
		}
		defer sessions[n].Close()
		if _, err := sessions[n].Call(ctx, wasmabi.OpPlan, request); err != nil {
			return 0, err
		}
	}
	after, err := memoryField("Pss")
	return float64(after-before) / ourInstances, err
}

func theirBytes(ctx context.Context) (float64, error) {
	plain, err := goPolicy()
	if err != nil {
		return 0, err
	}
	r, err := newRaw(ctx, plain)
	if err != nil {
		return 0, err
	}
	defer r.close(ctx)
	request := wasmabi.AppendObservation(nil, observation())
	before, err := memoryField("Pss")
	if err != nil {
		return 0, err
	}
	for range theirInstances {
		if err := r.instantiate(ctx); err != nil { // the one before stays alive until the runtime is closed
			return 0, err
		}
		r.call(ctx, wasmabi.OpPlan, request)
	}
	after, err := memoryField("Pss")
	return float64(after-before) / theirInstances, err
}

// memoryField returns a field of this process's memory statistics in bytes, after everything that is garbage was given
// back. "Rss" counts a page for each mapping of it; "Pss" counts it once.
func memoryField(name string) (int64, error) {
	debug.FreeOSMemory()
	f, err := os.Open("/proc/self/smaps_rollup")
	if err != nil {
		return 0, fmt.Errorf("memory is read from procfs: %w", err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), name+":"); ok {
			kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(rest, "kB")), 10, 64)
			return kb << 10, err
		}
	}
	return 0, fmt.Errorf("/proc/self/smaps_rollup has no %s", name)
}

// policies is how many different Go policies the resident process has.
const policies = 5

// residentVariable makes this program the process whose memory is measured: its value is a folder with a cache and modules.
const residentVariable = "EDGEHOLD_BENCH_RESIDENT"

// resident measures a process that has five different Go policies ready, was restarted since they were compiled, and
// has called each once. It is the host's part of the daemon.
func resident(ctx context.Context) (Measured, error) {
	dir, err := os.MkdirTemp("", "edgehold-bench")
	if err != nil {
		return Measured{}, err
	}
	defer os.RemoveAll(dir)
	for n := range policies {
		module, err := goVariant(n)
		if err != nil {
			return Measured{}, err
		}
		path := filepath.Join(dir, fmt.Sprintf("%d.wasm", n))
		if err := os.WriteFile(path, withManifest(module, fmt.Sprintf("bench-%d", n)), 0o600); err != nil {
			return Measured{}, err
		}
	}
	var bytes int64
	for range 2 { // the first fills the cache
		if bytes, err = residentProcess(ctx, dir); err != nil {
			return Measured{}, err
		}
	}
	return Measured{Ours: float64(bytes) / 1e6, Unit: "MB"}, nil
}

func residentProcess(ctx context.Context, dir string) (int64, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(slices.Clone(os.Environ()), residentVariable+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
}

func residentChild() {
	dir := os.Getenv(residentVariable)
	if dir == "" {
		return
	}
	bytes, err := idle(context.Background(), dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(bytes)
	os.Exit(0)
}

func idle(ctx context.Context, dir string) (int64, error) {
	r, err := host.New(ctx, host.Config{CacheDir: filepath.Join(dir, "cache")})
	if err != nil {
		return 0, err
	}
	defer r.Close(ctx)
	for n := range policies {
		if err := prepareAndCall(ctx, r, filepath.Join(dir, fmt.Sprintf("%d.wasm", n))); err != nil {
			return 0, err
		}
	}
	return memoryField("Rss")
}

func prepareAndCall(ctx context.Context, r *host.Runtime, path string) error {
	module, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	m, err := r.Prepare(ctx, module)
	if err != nil {
		return err
	}
	s, err := m.Begin(ctx, host.SessionConfig{})
	if err != nil {
		return err
	}
	defer s.Close()
	_, err = s.Call(ctx, wasmabi.OpPlan, wasmabi.AppendObservation(nil, observation()))
	return err
}

// goVariant builds the Go policy with other code in it.
func goVariant(n int) ([]byte, error) {
	dir, err := os.MkdirTemp("", "edgehold-bench")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	find := exec.Command("go", "list", "-f", "{{.Dir}}", guestPackage)
	find.Env = guestEnvironment()
	folder, err := find.Output()
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", guestPackage, err)
	}
	source := filepath.Join(dir, "variant.go")
	text := fmt.Sprintf("package main\n\n//go:noinline\nfunc variant(v float64) float64 { return v * %d }\n", n+2)
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{
		filepath.Join(strings.TrimSpace(string(folder)), "variant.go"): source}})
	if err != nil {
		return nil, err
	}
	list := filepath.Join(dir, "overlay.json")
	if err := errors.Join(os.WriteFile(source, []byte(text), 0o600), os.WriteFile(list, overlay, 0o600)); err != nil {
		return nil, err
	}
	return goPolicy("-overlay", list)
}
