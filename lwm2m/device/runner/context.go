package runner

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/wasmabi"
)

// keepEvery bounds how often a context is written though nothing was turned: flash wears.
const keepEvery = time.Minute

// keeper is what a policy remembers from one episode to the next.
type keeper struct {
	state []byte
	saved []byte // on the disk
	at    time.Time
}

// document is a context on the disk.
type document struct {
	Schema uint32 `json:"schema"`
	State  []byte `json:"state"`
}

func (p *policy) contextName() string { return p.manifest.Name + ".context" }

// recall reads what the policy remembered when it ran last, in this version or one whose layout it understands. What can't be read is left.
func (p *policy) recall(ctx context.Context) error {
	if p.runner.config.Contexts == nil {
		return nil
	}
	raw, err := p.runner.config.Contexts.Load(p.contextName())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var d document
	if err == nil {
		err = json.Unmarshal(raw, &d)
	}
	switch {
	case err != nil:
		p.runner.config.Logger.Warn("a policy begins anew: its context can't be read", "policy", p.manifest.Name, "error", err)
	case d.Schema == p.manifest.StateSchema:
		p.context.state, p.context.saved = d.State, d.State
	case slices.Contains(p.manifest.MigratesFrom, d.Schema):
		return p.migrate(ctx, d)
	default:
		p.runner.config.Logger.Warn("a policy begins anew: it does not read contexts of that layout", "policy", p.manifest.Name, "schema", d.Schema)
	}
	return nil
}

func (p *policy) migrate(ctx context.Context, d document) error {
	request := wasmabi.AppendMigrate(nil, &wasmabi.Migrate{FromSchema: d.Schema, Context: d.State})
	err := p.module.Operate(ctx, host.SessionConfig{Time: time.Unix(0, 0)}, wasmabi.AppendInit(nil, &p.init), wasmabi.OpMigrate, request, func(state []byte) error {
		p.context.state = slices.Clone(state)
		return nil
	})
	if err != nil {
		return fmt.Errorf("migrate the context of %s from schema %d: %w", p.manifest.Name, d.Schema, err)
	}
	return nil
}

// remember takes a context for the next episode, unless the policy could not begin with it.
func (p *policy) remember(s *host.Session, state []byte) error {
	init := p.init
	init.Context = state
	if n, most := len(wasmabi.AppendInit(nil, &init)), s.RequestWindow(); n > most {
		return fmt.Errorf("the context of %s is too large: its next start would need %d bytes of a window of %d", p.manifest.Name, n, most)
	}
	p.context.state = append(p.context.state[:0:0], state...)
	return nil
}

// keep writes the context: at once where something was turned or the policy ends, else now and then.
func (p *policy) keep(atOnce bool) {
	c := &p.context
	if p.runner.config.Contexts == nil || bytes.Equal(c.state, c.saved) || !atOnce && time.Since(c.at) < keepEvery {
		return
	}
	c.at = time.Now()
	raw, err := json.Marshal(document{p.manifest.StateSchema, c.state})
	if err == nil {
		err = p.runner.config.Contexts.Save(p.contextName(), raw)
	}
	if err != nil {
		p.runner.config.Logger.Warn("a policy's context is not kept", "policy", p.manifest.Name, "error", err)
		return
	}
	c.saved = c.state
}
