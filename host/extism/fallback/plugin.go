package fallback

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/host/capability"
	"github.com/edgehold/edgehold/host/extism/helper"
	"github.com/edgehold/edgehold/host/internal/documents"
	"github.com/edgehold/edgehold/wasmabi"
)

// Config of plugins. Only Dir is needed.
type Config struct {
	Dir     string           // in which the helpers of each adapter get a folder; it should be the daemon's own
	Program string           // empty: helper.Find
	Now     func() time.Time // nil: time.Now
	Logger  *slog.Logger     // nil: none
}

// Grant is what an adapter may reach. The zero value is nothing.
type Grant struct {
	Capabilities []wasmabi.CapabilityRequest `json:"capabilities"`
	Offers       []capability.Offer          `json:"offers"`
	Root         string                      `json:"root,omitempty"`
}

// Warning is what people should know wherever such an adapter is shown.
const Warning = "runs on the fallback engine go-sdk, in a process of its own: without fuel, recording and replay"

// Exports of an adapter. The first three are required.
var exports = []string{"options", "state", "apply", "revert", "plan", "initialize", "health"}

const (
	required     = 3
	startWithin  = 2 * time.Minute // the first start compiles, on a slow processor too
	answerExtra  = 64 << 10        // of JSON around an output, and log lines
	folderEnding = ".helper"
	keptCaches   = 3 // versions whose machine code is kept
)

// Plugin is an adapter on the SDK.
type Plugin struct {
	config   Config
	module   []byte
	digest   string
	manifest *wasmabi.Manifest
	limits   host.Limits
	exports  []string
	dir      string

	turn      chan struct{} // held by the one operation that runs, and by who changes the rest
	grant     Grant
	documents documents.Adapter
	process   *process
	crashes   int // in a row
	again     time.Time
	closed    bool

	mu    sync.Mutex
	stats host.Stats
}

// Folder returns where the helpers of an adapter work.
func Folder(dir, adapter string) string { return filepath.Join(dir, adapter+folderEnding) }

// Prepare judges a module and has the helper compile it, granting nothing. A module that is not acceptable gives a
// *host.Refusal, a program that is not installed helper.ErrNotInstalled.
func Prepare(ctx context.Context, r *host.Runtime, module []byte, c Config) (*Plugin, error) {
	m, limits, err := r.Admit(module)
	if err != nil {
		return nil, err
	}
	if c.Program == "" {
		if c.Program, err = helper.Find(); err != nil {
			return nil, fmt.Errorf("prepare adapter %s, whose door is %s: %w", m.Name, m.Door, err)
		}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Dir, err = filepath.Abs(c.Dir); err != nil { // the helper works elsewhere
		return nil, fmt.Errorf("prepare adapter %s: %w", m.Name, err)
	}
	sum := sha256.Sum256(module)
	p := &Plugin{config: c, module: slices.Clone(module), digest: "sha256:" + hex.EncodeToString(sum[:]), manifest: m, limits: limits,
		dir: Folder(c.Dir, m.Name), turn: make(chan struct{}, 1)}
	if err := p.rehearse(ctx); err != nil {
		return nil, errors.Join(err, p.Forget())
	}
	return p, nil
}

// Forget is Close for a version that nobody wants: its machine code goes too, and its folder if nothing else is in it.
func (p *Plugin) Forget() error {
	p.Close()
	err := os.RemoveAll(p.cache())
	_ = os.Remove(p.dir) // other versions may have theirs in it
	return err
}

// rehearse starts the plugin once: it leaves the machine code behind, and says what is missing.
func (p *Plugin) rehearse(ctx context.Context) error {
	if err := p.makeFolder(); err != nil {
		return fmt.Errorf("prepare adapter %s: %w", p.manifest.Name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	c, err := p.launch(ctx, nil, Grant{})
	if err != nil {
		if f, ok := errors.AsType[*helper.Failure](err); ok {
			return &host.Refusal{Code: f.Code, Why: f.Message, Hint: f.Hint, Err: err}
		}
		return fmt.Errorf("prepare adapter %s: %w", p.manifest.Name, err)
	}
	p.exports = c.Exports()
	for _, name := range exports[:required] {
		if !slices.Contains(p.exports, name) {
			err = &host.Refusal{Code: "extism.export", Why: "an adapter exports options, state and apply, and this plugin has no " + name,
				Hint: "see host/extism/README.md for what each is given and answers"}
		}
	}
	return errors.Join(err, c.Close())
}

func (p *Plugin) cache() string { return filepath.Join(p.dir, p.digest[len("sha256:"):][:16]) }

// makeFolder makes the helper's folder, and forgets machine code of versions that are long gone.
func (p *Plugin) makeFolder() error {
	if err := os.MkdirAll(p.cache(), 0o700); err != nil {
		return err
	}
	all, err := os.ReadDir(p.dir)
	if err != nil {
		return err
	}
	age := func(e os.DirEntry) (t time.Time) {
		if info, err := e.Info(); err == nil {
			t = info.ModTime()
		}
		return t
	}
	slices.SortFunc(all, func(a, b os.DirEntry) int { return age(b).Compare(age(a)) })
	for _, e := range all[min(keptCaches, len(all)):] {
		if path := filepath.Join(p.dir, e.Name()); path != p.cache() {
			err = errors.Join(err, os.RemoveAll(path))
		}
	}
	return err
}

// Manifest returns the module's manifest.
func (p *Plugin) Manifest() *wasmabi.Manifest { return p.manifest }

// Digest returns the module's.
func (p *Plugin) Digest() string { return p.digest }

// Limits returns those that hold: memory, deadline and response. There is no fuel.
func (p *Plugin) Limits() host.Limits { return p.limits }

// Stats returns the counters since Prepare.
func (p *Plugin) Stats() host.Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stats
	s.Errors = map[host.Kind]uint64{}
	for k, n := range p.stats.Errors {
		s.Errors[k] = n
	}
	return s
}

// Grant says what the plugin may reach from the next start of its process on.
func (p *Plugin) Grant(g Grant) {
	p.turn <- struct{}{}
	defer func() { <-p.turn }()
	if root, err := filepath.Abs(g.Root); err == nil && g.Root != "" {
		g.Root = root
	}
	p.grant = g
}

// Rest ends the process, after the operation that runs.
func (p *Plugin) Rest() error {
	p.turn <- struct{}{}
	defer func() { <-p.turn }()
	return p.end()
}

// Close ends the process for good. It may be called twice.
func (p *Plugin) Close() {
	p.turn <- struct{}{}
	defer func() { <-p.turn }()
	p.closed = true
	if err := p.end(); err != nil {
		p.config.Logger.Error("end the helper of an adapter", "adapter", p.manifest.Name, "error", err)
	}
}
