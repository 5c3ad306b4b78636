package fallback

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/host/extism/helper"
)

// process is a helper that starts, runs, or has failed to start.
type process struct {
	config string // the operator's parameters, as the helper has them
	cancel context.CancelFunc
	ready  chan struct{} // closed when client and err are there
	client *helper.Client
	err    error
	began  time.Time
}

// helperGrace is how much longer than an operation may take the helper lets it run: it is ended from here, which says why. Its own
// limit is for a helper that nobody looks after any more.
const helperGrace = 5 * time.Second

// Waits between starts. The first is at once: somebody may have killed the helper, and a knob waits to be put back.
const (
	firstWait  = time.Second
	longest    = time.Minute
	steadyFor  = time.Minute // a process that has served for so long begins anew
	maxDoubled = 10
)

// launch starts a helper.
func (p *Plugin) launch(ctx context.Context, parameters map[string]string, g Grant) (*helper.Client, error) {
	manifest, err := json.Marshal(map[string]any{"config": parameters})
	if err != nil {
		return nil, err
	}
	granted, err := json.Marshal(g)
	if err != nil {
		return nil, err
	}
	most := int64(p.limits.ResponseBytes)*2 + int64(p.limits.LogBytes)*2 + answerExtra
	return helper.StartConfined(ctx, p.config.Program, p.dir, most, &helper.Order{
		Engine: helper.EngineSDK, Name: p.manifest.Name, Module: p.module, Manifest: manifest, CacheDir: p.cache(),
		MemoryBytes: p.limits.Memory, DeadlineMS: uint32((p.limits.Deadline + helperGrace) / time.Millisecond), OutputBytes: uint64(p.limits.ResponseBytes),
		LogBytes: uint64(p.limits.LogBytes), Grant: granted, Ask: exports,
	})
}

// running returns the client of a process with these parameters. One that starts goes on starting when ctx ends.
func (p *Plugin) running(ctx context.Context, parameters map[string]string) (*helper.Client, error) {
	key := fmt.Sprint(parameters)
	if p.process != nil && p.process.config != key {
		if err := p.end(); err != nil {
			return nil, err
		}
	}
	if p.process == nil {
		if err := p.mayStart(); err != nil {
			return nil, err
		}
		p.process = p.start(key, parameters)
	}
	select {
	case <-p.process.ready:
	case <-ctx.Done():
		return nil, p.away("the process that runs it is still starting")
	}
	if err := p.process.err; err != nil {
		p.crashed()
		return nil, p.away("the process that runs it does not start: " + err.Error())
	}
	return p.process.client, nil
}

func (p *Plugin) start(key string, parameters map[string]string) *process {
	ctx, cancel := context.WithCancel(context.Background())
	next := &process{config: key, cancel: cancel, ready: make(chan struct{}), began: p.config.Now()}
	grant := p.grant
	go func() {
		defer close(next.ready)
		timer := time.AfterFunc(startWithin, cancel)
		next.client, next.err = p.launch(ctx, parameters, grant)
		timer.Stop()
	}()
	return next
}

func (p *Plugin) mayStart() error {
	if p.closed {
		return host.ErrClosed
	}
	if now := p.config.Now(); now.Before(p.again) {
		return p.away(fmt.Sprintf("the process that runs it has ended %d times in a row; it is started again in %s", p.crashes, p.again.Sub(now).Round(time.Second)))
	}
	return p.makeFolder()
}

// crashed counts an end that nobody asked for, and puts the next start off.
func (p *Plugin) crashed() {
	now := p.config.Now()
	if now.Sub(p.process.began) > steadyFor {
		p.crashes = 0
	}
	p.crashes++
	if p.crashes > 1 {
		p.again = now.Add(min(firstWait<<min(p.crashes-2, maxDoubled), longest))
	}
	p.config.Logger.Warn("the helper of an adapter has ended", "adapter", p.manifest.Name, "times", p.crashes)
	if err := p.end(); err != nil {
		p.config.Logger.Warn("end the helper of an adapter", "adapter", p.manifest.Name, "error", err)
	}
}

// end ends the process, if there is one.
func (p *Plugin) end() error {
	was := p.process
	if p.process = nil; was == nil {
		return nil
	}
	defer was.cancel()
	select {
	case <-was.ready:
	default:
		was.cancel()
		<-was.ready
	}
	if was.client == nil {
		return nil
	}
	return was.client.Close()
}

// away is a failure that passes: knobs count as away meanwhile.
func (p *Plugin) away(why string) error {
	return &host.CallError{Policy: p.manifest.Name, Kind: host.Trap, Code: "call.helper", Message: why, Retryable: true}
}

// died reports whether the helper of an error has ended, and whether its time was up.
func died(err error) (ended, late bool) {
	f, ok := errors.AsType[*helper.Failure](err)
	if !ok {
		return false, false
	}
	return f.Code == helper.CodeDied || f.Code == helper.CodeDeadline, f.Code == helper.CodeDeadline
}
