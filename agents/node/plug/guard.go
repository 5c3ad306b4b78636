package plug

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/edgehold/edgehold/agents/node/adapter"
	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/host/capability"
	"github.com/edgehold/edgehold/host/extism/fallback"
	"github.com/edgehold/edgehold/mechanisms"
	"github.com/edgehold/edgehold/plugins/store"
	"github.com/edgehold/edgehold/wasmabi"
)

// recipe is all that the guard needs to make an adapter's driver when the daemon can't any more. It lies beside the module,
// in a folder that is the daemon's own.
type recipe struct {
	Adapter   string             `json:"adapter"`
	Mechanism string             `json:"mechanism"`
	Digest    string             `json:"digest"`
	Init      []byte             `json:"init"` // wasmabi.Init
	Offers    []capability.Offer `json:"offers"`
	Root      string             `json:"root"`
	Store     string             `json:"store"`
	Cache     string             `json:"cache"`
	Engine    string             `json:"engine"`

	// What a module may ask for is bounded by these, in the guard as in the daemon.
	Limits      host.Limits   `json:"limits"`
	CompileTime time.Duration `json:"compile_time_ns"`
	Timeout     time.Duration `json:"timeout_ns"` // of a request
}

// Endings of the files in the adapters' folder.
const (
	recipeEnding = ".recipe.json"
	moduleEnding = ".wasm"
)

// TellGuard keeps a recipe of an adapter that serves, and its module: first the module, so a recipe never names another.
func (b *Board) TellGuard(name, digest string, d *adapter.Driver, m *adapter.Module) error {
	raw, err := b.Module(digest)
	if err != nil {
		return err
	}
	c := recipe{
		Adapter: name, Mechanism: d.Describe().Name, Digest: digest, Init: wasmabi.AppendInit(nil, &m.Init),
		Offers: b.Offers, Root: b.Root, Store: b.storePath(name), Cache: b.Host.CacheDir, Engine: b.Host.Engine.String(),
		Limits: b.Host.Limits, CompileTime: b.Host.CompileTime, Timeout: b.timeout(),
	}
	text, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("write a recipe of adapter %s: %w", name, err)
	}
	return errors.Join(store.ReplaceFile(b.path(name, moduleEnding), raw, 0o600), store.ReplaceFile(b.path(name, recipeEnding), text, 0o600))
}

// ForgetGuard takes a recipe back.
func (b *Board) ForgetGuard(name string) error {
	var errs []error
	for _, ending := range []string{recipeEnding, moduleEnding} {
		if err := os.Remove(b.path(name, ending)); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Find is the guard's way to adapters: it makes drivers of those whose mechanisms are named. They run until done is
// called.
func Find(ctx context.Context, dir string, names []string, log *slog.Logger) (drivers []mechanisms.Driver, done func(), err error) {
	var closers []func()
	done = func() {
		for _, c := range slices.Backward(closers) {
			c()
		}
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*"+recipeEnding))
	if err != nil {
		return nil, done, err
	}
	for _, path := range paths {
		d, c, problem := makeAdapter(ctx, path, names, log)
		if d != nil {
			drivers = append(drivers, d)
		}
		if c != nil {
			closers = append(closers, c)
		}
		err = errors.Join(err, problem)
	}
	return drivers, done, err
}

// makeAdapter follows one recipe; without a driver and an error its mechanism is not among the names.
func makeAdapter(ctx context.Context, path string, names []string, log *slog.Logger) (mechanisms.Driver, func(), error) {
	var c recipe
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	if err != nil || !slices.Contains(names, c.Mechanism) {
		return nil, nil, err
	}
	what := "make adapter " + c.Adapter
	raw, err := os.ReadFile(strings.TrimSuffix(path, recipeEnding) + moduleEnding)
	if err == nil && store.Digest(raw) != c.Digest {
		err = errors.New("its module is not the one that served")
	}
	var init wasmabi.Init
	if err = errors.Join(err, wasmabi.DecodeInit(c.Init, &init)); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", what, err)
	}
	runtime, err := host.New(ctx, host.Config{
		CacheDir: c.Cache, Engine: engine(c.Engine), MaxInstances: 1, Logger: log, Limits: c.Limits, CompileTime: c.CompileTime,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", what, err)
	}
	module, err := prepare(ctx, runtime, raw, fallback.Config{Dir: filepath.Dir(path), Logger: log})
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("%s: %w", what, err), runtime.Close(ctx))
	}
	m := open(module, init, c.Offers, c.Root, c.Store, c.Timeout)
	end := func() {
		if err := errors.Join(m.Close(), runtime.Close(context.Background())); err != nil {
			log.Error("give an adapter up", "adapter", c.Adapter, "error", err)
		}
	}
	return adapter.NewDriver(m, adapter.Config{Now: time.Now}), end, nil
}

// engine is the reverse of its name; what no name of one is leaves the choice to the host.
func engine(name string) host.Engine {
	for _, e := range []host.Engine{host.Compiler, host.Interpreter} {
		if e.String() == name {
			return e
		}
	}
	return host.Auto
}
