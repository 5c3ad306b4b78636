package node

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
}

// Endings of the files in the adapters' folder.
const (
	recipeEnding = ".recipe.json"
	moduleEnding = ".wasm"
)

func (a *adapters) path(name, ending string) string { return filepath.Join(a.dir, name+ending) }

// tellGuard keeps a recipe of an adapter that serves, and its module: first the module, so a recipe never names another.
func (a *adapters) tellGuard(r *running) error {
	raw, err := a.module(r.digest)
	if err != nil {
		return err
	}
	c := recipe{
		Adapter: r.name, Mechanism: r.unit.driver.Describe().Name, Digest: r.digest, Init: wasmabi.AppendInit(nil, &r.unit.module.Init),
		Offers: a.offers, Root: a.root, Store: a.storePath(r.name), Cache: a.cache, Engine: a.engine,
	}
	b, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("write a recipe of adapter %s: %w", r.name, err)
	}
	return errors.Join(store.ReplaceFile(a.path(r.name, moduleEnding), raw, 0o600), store.ReplaceFile(a.path(r.name, recipeEnding), b, 0o600))
}

// forgetGuard takes a recipe back.
func (a *adapters) forgetGuard(name string) error {
	var errs []error
	for _, ending := range []string{recipeEnding, moduleEnding} {
		if err := os.Remove(a.path(name, ending)); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// forget removes all that was kept of an adapter.
func (a *adapters) forget(name string) error {
	err := os.Remove(a.path(name, failureEnding))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, os.RemoveAll(fallback.Folder(a.dir, name)), a.forgetGuard(name), adapter.NewStore(a.storePath(name)).Remove())
}

// findAdapters is the guard's way to adapters: it makes drivers of those whose mechanisms are named. They run until done is
// called.
func findAdapters(ctx context.Context, dir string, names []string, log *slog.Logger) (drivers []mechanisms.Driver, done func(), err error) {
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
	b, err := readBounded(path)
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
	runtime, err := host.New(ctx, host.Config{CacheDir: c.Cache, Engine: engines[c.Engine], MaxInstances: 1, Logger: log})
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", what, err)
	}
	module, err := prepareOn(ctx, runtime, raw, fallback.Config{Dir: filepath.Dir(path), Logger: log})
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("%s: %w", what, err), runtime.Close(ctx))
	}
	m := &adapter.Module{Host: granted(module, c.Offers, c.Root), Init: init, Grant: capability.Open(module.Manifest().Capabilities, capability.Config{
		Offers: c.Offers, Root: c.Root, Store: adapter.NewStore(c.Store), CoAP: coapClient{},
	})}
	end := func() {
		if err := errors.Join(m.Close(), runtime.Close(context.Background())); err != nil {
			log.Error("give an adapter up", "adapter", c.Adapter, "error", err)
		}
	}
	return adapter.NewDriver(m, adapter.Config{Now: time.Now}), end, nil
}
