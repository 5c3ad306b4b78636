package server

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
	"github.com/edgehold/edgehold/lwm2m/store"
)

// lively is a device that answers everything, and says why not now and then.
type lively struct {
	*script
	stop chan struct{}
	done sync.WaitGroup
}

func newLively(d *script) *lively {
	l := &lively{script: d, stop: make(chan struct{})}
	l.done.Go(l.run)
	return l
}

func (l *lively) run() {
	random := rand.New(rand.NewPCG(1, uint64(l.peer.Remote.Port())))
	for {
		select {
		case b := <-l.end:
			p := parsePacket(l.t, b)
			if p.kind != con {
				continue
			}
			switch random.IntN(20) {
			case 0: // lost
			case 1:
				l.send(packet{kind: rst, id: p.id})
			case 2:
				l.reply(p, "4.04", "")
			case 3:
				l.reply(p, "4.06", "")
			default:
				l.text(p, "80", uintField(optObserve, uint32(random.IntN(1<<24))))
			}
		case <-l.stop:
			return
		}
	}
}

// say sends a request and does not look at the answer.
func (l *lively) say(id uint16, method byte, path, payload string, options ...field) {
	p := packet{kind: non, code: method, id: id, token: "x", payload: payload, options: options}
	for _, segment := range []string{path} {
		p.options = append(p.options, field{optPath, segment})
	}
	l.wire.receiver.Receive(l.peer, p.bytes())
}

// TestHammer has devices and callers do everything at once, for the race detector and for what must hold afterwards.
func TestHammer(t *testing.T) {
	rounds := 300
	if testing.Short() {
		rounds = 60
	}
	st, _, err := store.Open(t.TempDir(), store.Options{Window: time.Millisecond})
	must(t, err)
	defer func() { must(t, st.Close()) }()
	config := Config{Store: st, FirstReads: []lwm2m.Path{at("/3")}, Times: Times{Composite: 50 * time.Millisecond, Exchange: 100 * time.Millisecond}}
	config.CoAP.Reliability = coap.Reliability{AckTimeout: 5 * time.Millisecond, MaxRetransmit: 2}
	r := start(t, config)
	endpoints := []string{"a", "b", "c"}
	var devices []*lively
	for n := range 6 { // two addresses for each name
		devices = append(devices, newLively(r.device(fmt.Sprintf("10.0.0.1:%d", 1000+n))))
	}
	var work sync.WaitGroup
	for n, d := range devices {
		work.Go(func() {
			random := rand.New(rand.NewPCG(2, uint64(n)))
			for round := range rounds {
				endpoint := endpoints[n%len(endpoints)]
				id := uint16(round)
				switch random.IntN(8) {
				case 0, 1:
					d.say(id, post, "rd", links, field{optQuery, "ep=" + endpoint}, field{optQuery, "lwm2m=1.1"}, field{optQuery, []string{"Q", "b=U"}[random.IntN(2)]}, uintField(optFormat, 40))
				case 2, 3:
					if known, ok := r.server.Device(endpoint); ok {
						d.say(id, []byte{post, post, post, del}[random.IntN(4)], "rd", "", field{optPath, known.ID})
					}
				case 4:
					d.say(id, post, "dp", `[{"n":"/3/0/9","v":1}]`, uintField(optFormat, 110))
				case 5:
					if all, err := r.server.Observations(endpoint); err == nil && len(all) > 0 {
						d.send(packet{kind: non, code: code("2.05"), id: id, token: string(all[0].ID.token().Bytes()), payload: "7", options: []field{uintField(optObserve, uint32(round))}})
					}
				default:
					time.Sleep(time.Millisecond)
				}
			}
		})
	}
	for n := range 8 {
		work.Go(func() { r.callers(endpoints, rand.New(rand.NewPCG(3, uint64(n))), rounds/4) })
	}
	work.Wait()
	r.stop()
	for _, e := range endpoints {
		_ = r.server.Remove(e)
	}
	for _, d := range devices {
		close(d.stop)
		d.done.Wait()
	}
	s := r.server
	if s.Len() != 0 || s.byID.size() != 0 || s.byPlace.size() != 0 || s.byToken.size() != 0 || len(s.links.sets) != 0 || len(s.candidates.all) != 0 {
		t.Errorf("left are %d devices, %d numbers, %d places, %d tokens, %d sets of links, %d candidates", s.Len(), s.byID.size(), s.byPlace.size(), s.byToken.size(), len(s.links.sets), len(s.candidates.all))
	}
	if n := len(s.agenda.entries); n != 0 {
		t.Errorf("%d entries of the agenda are left", n)
	}
	for k := store.Registration; k < store.Settings; k++ {
		if n := st.Len(k); n != 0 {
			t.Errorf("%d records of kind %d are left", n, k)
		}
	}
}

func (r *rig) callers(endpoints []string, random *rand.Rand, rounds int) {
	for range rounds {
		endpoint := endpoints[random.IntN(len(endpoints))]
		ctx, stop := context.WithTimeout(context.Background(), time.Duration(1+random.IntN(50))*time.Millisecond)
		switch random.IntN(10) {
		case 0:
			_, _, _ = r.server.Observe(ctx, endpoint, at("/3/0/9"))
		case 1:
			if all, _ := r.server.Observations(endpoint); len(all) > 0 {
				_ = r.server.Cancel(ctx, endpoint, all[random.IntN(len(all))].ID)
			}
		case 2:
			_, _ = r.server.Enqueue(ctx, endpoint, Request{Operation: OpRead, Path: at("/3/0/0")}, Hold{For: 20 * time.Millisecond, Durable: random.IntN(2) == 0})
		case 3:
			_ = r.server.WriteAttributes(ctx, endpoint, at("/3/0/9"), lwm2m.Attributes{Has: lwm2m.PMin, PMin: 1})
		case 4:
			_, _ = r.server.ReadComposite(ctx, endpoint, at("/3/0/9"), at("/3/0/0"))
		case 5:
			if waiting, _ := r.server.Queued(endpoint); len(waiting) > 0 {
				_, _ = r.server.Withdraw(endpoint, waiting[0].ID)
			}
		case 6:
			for d := range r.server.Devices() {
				_ = d.Has(at("/3/0"))
			}
		default:
			_, _ = r.server.Read(ctx, endpoint, at("/3/0/9"))
		}
		stop()
	}
}
