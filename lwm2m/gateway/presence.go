package gateway

import (
	"cmp"
	"context"
	"hash/maphash"
	"sync"
	"time"

	"github.com/edgehold/edgehold/lwm2m/internal/pause"
	"github.com/edgehold/edgehold/lwm2m/server"
	"github.com/edgehold/edgehold/sdf/mqtt"
)

// presence knows what of each device is announced, and which announcements have to be looked at. A device stands in the
// line at most once, so that neither grows beyond the number of devices.
type presence struct {
	seed maphash.Seed

	mu        sync.Mutex
	line      []string
	why       map[string]string // of the devices in the line and being worked on: why one is gone, if it is
	busy      map[string]bool   // being worked on; true: to be looked at again after that
	announced map[string]uint64 // hash of the announcement; 0: to be published again
	wake      chan struct{}
}

func (p *presence) init() {
	p.seed = maphash.MakeSeed()
	p.why, p.busy, p.announced = map[string]string{}, map[string]bool{}, map[string]uint64{}
	p.wake = make(chan struct{}, 1)
}

// mark puts a device into the line.
func (p *presence) mark(endpoint, why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, waits := p.why[endpoint]
	p.why[endpoint] = cmp.Or(why, p.why[endpoint])
	if _, busy := p.busy[endpoint]; busy {
		p.busy[endpoint] = true
		return
	}
	if !waits {
		p.push(endpoint)
	}
}

func (p *presence) push(endpoint string) {
	p.line = append(p.line, endpoint)
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// forget has every announcement count as not published, and returns whose they are.
func (p *presence) forget() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	endpoints := make([]string, 0, len(p.announced))
	for e := range p.announced {
		p.announced[e] = 0
		endpoints = append(endpoints, e)
	}
	return endpoints
}

// rest lets go of what a storm has grown: a map keeps the room that it once had. It is called with mu held.
func (p *presence) rest() {
	p.line = nil
	if len(p.why) == 0 {
		p.why = map[string]string{}
	}
	if len(p.busy) == 0 {
		p.busy = map[string]bool{}
	}
}

// next waits for a device to work on; done has to be called for it.
func (p *presence) next(ctx context.Context) (endpoint, why string, hash uint64, ok bool) {
	for {
		p.mu.Lock()
		if len(p.line) > 0 {
			endpoint, p.line = p.line[0], p.line[1:]
			why, hash = p.why[endpoint], p.announced[endpoint]
			delete(p.why, endpoint)
			p.busy[endpoint] = false
			if len(p.line) > 0 { // there is work for another one
				select {
				case p.wake <- struct{}{}:
				default:
				}
			}
			p.mu.Unlock()
			return endpoint, why, hash, true
		}
		p.rest()
		p.mu.Unlock()
		select {
		case <-ctx.Done():
			return "", "", 0, false
		case <-p.wake:
		}
	}
}

// done notes what is announced of a device now: hash, or nothing if gone. A device that was marked meanwhile, or whose
// announcement failed, goes into the line again.
func (p *presence) done(endpoint, why string, hash uint64, gone bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	again := p.busy[endpoint]
	delete(p.busy, endpoint)
	switch {
	case err != nil:
		again = true
		p.why[endpoint] = cmp.Or(p.why[endpoint], why)
	case gone:
		delete(p.announced, endpoint)
	default:
		p.announced[endpoint] = hash
	}
	if again {
		p.push(endpoint)
	} else {
		delete(p.why, endpoint)
	}
}

// announce works off the line until the context ends.
func (g *Gateway) announce(ctx context.Context) {
	for {
		endpoint, why, before, ok := g.presence.next(ctx)
		if !ok {
			return
		}
		r, known := g.server.Device(endpoint)
		if known && r.State != server.Unreachable {
			hash, err := g.tellPresent(ctx, r, before)
			g.finish(ctx, endpoint, why, hash, false, err)
			continue
		}
		if why == "" { // the event that says why is on its way, and marks it again
			g.finish(ctx, endpoint, "", before, false, nil)
			continue
		}
		err := g.tellGone(ctx, endpoint, why)
		if err == nil && !known {
			g.forgetFacts(endpoint)
		}
		g.finish(ctx, endpoint, why, 0, true, err)
	}
}

// finish notes what came of an announcement; after a failure it waits, since the next one would fail as well.
func (g *Gateway) finish(ctx context.Context, endpoint, why string, hash uint64, gone bool, err error) {
	if err != nil && ctx.Err() == nil {
		g.stats.failures.Add(1)
		g.log.Warn("an announcement could not be published and will be tried again", "endpoint", endpoint, "error", err)
		pause.For(ctx, g.config.Limits.Retry)
	}
	g.presence.done(endpoint, why, hash, gone, err)
}

// tellPresent publishes the announcement of a device unless it is what was published last.
func (g *Gateway) tellPresent(ctx context.Context, r server.Registration, before uint64) (hash uint64, err error) {
	if hash = g.hashOf(r); hash == before {
		return hash, nil
	}
	if mqtt.Heard(g.config.Bus, r.Endpoint) {
		a, err := g.announcement(r)
		if err != nil {
			return 0, err
		}
		if err := mqtt.Announce(ctx, g.config.Bus, a); err != nil {
			return 0, err
		}
	}
	g.stats.announced.Add(1)
	g.note(r.Endpoint)
	return hash, nil
}

func (g *Gateway) tellGone(ctx context.Context, endpoint, why string) error {
	err := mqtt.Unregister(ctx, g.config.Bus, &mqtt.Farewell{Thing: endpoint, Reason: why, Time: time.Now().UTC()})
	if err == nil {
		g.stats.unregistered.Add(1)
	}
	return err
}
