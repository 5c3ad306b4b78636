package fleet

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/edgehold/edgehold/lwm2m/coap"
)

const maxTries = 5 // transmissions of a confirmable message, RFC 7252 section 4.8

// shard is a part of the fleet: those devices whose number leaves a rest, on one socket.
type shard struct {
	fleet  *Fleet
	number int
	socket *socket
	start  time.Time
	woken  chan struct{} // holds one: the agenda has something earlier

	mu      sync.Mutex
	random  *rand.Rand
	devices []device // device i of the shard is i*shards+number of the fleet
	agenda  agenda
	begun   int // devices that were told to begin
	stats   Stats
	buffer  []byte
}

func newShard(f *Fleet, number int, socket *socket) *shard {
	n := (f.config.Devices - number + shards - 1) / shards
	s := &shard{
		fleet: f, number: number, socket: socket, woken: make(chan struct{}, 1),
		random: newRandom(f.config.Seed, number), devices: make([]device, n), buffer: make([]byte, 0, 512),
	}
	for i := range s.devices {
		d := &s.devices[i]
		d.sleeper = s.random.Float64() < f.config.Sleepers
		d.id = uint16(s.random.Uint32())
		d.value = 20 + float32(i%50)/10
	}
	return s
}

func (s *shard) now() int64 { return int64(time.Since(s.start)) }

// begin plans the first registrations.
func (s *shard) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if rate := s.fleet.config.Rate; rate > 0 {
		for i := range s.devices {
			s.plan(i, int64(float64(i*shards+s.number)/rate*float64(time.Second)))
		}
		s.begun = len(s.devices)
		return
	}
	for range max(s.fleet.config.InFlight/shards, 1) {
		s.beginNext()
	}
}

// beginNext lets one more device begin.
func (s *shard) beginNext() {
	if s.begun < len(s.devices) {
		s.plan(s.begun, s.now())
		s.begun++
	}
}

// plan has a device do something at a time, and not at the one planned before. Callers hold mu.
func (s *shard) plan(i int, at int64) {
	at = max(at, 1)
	s.devices[i].next = at
	s.agenda.add(moment{at, int32(i)})
	if s.agenda[0].at == at {
		select {
		case s.woken <- struct{}{}:
		default:
		}
	}
}

// keepTime has devices do what is due, until ctx is done.
func (s *shard) keepTime(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.woken:
		case <-timer.C:
		}
		timer.Reset(s.due())
	}
}

// due does what is due, and returns how long until there is more.
func (s *shard) due() time.Duration {
	for {
		s.mu.Lock()
		now := s.now()
		for range 64 { // let answers in between
			if len(s.agenda) == 0 {
				s.mu.Unlock()
				return time.Hour
			}
			if at := s.agenda[0].at; at > now {
				s.mu.Unlock()
				return time.Duration(at - now)
			}
			if m := s.agenda.take(); s.devices[m.device].next == m.at {
				s.step(int(m.device), now)
			}
		}
		s.mu.Unlock()
	}
}

// step has a device do what it had planned.
func (s *shard) step(i int, now int64) {
	d := &s.devices[i]
	switch d.state {
	case off:
		s.stats.Begun++
		s.exchange(i, registering, now)
	case registering, updating:
		s.repeat(i, now)
	case registered:
		s.live(i, now)
	}
}

// exchange begins a request of the device's.
func (s *shard) exchange(i int, to state, now int64) {
	d := &s.devices[i]
	d.state, d.tries, d.since = to, 0, now
	d.id++
	s.transmit(i, now)
}

// transmit sends the request under way, and plans its repetition: RFC 7252 section 4.2.
func (s *shard) transmit(i int, now int64) {
	d := &s.devices[i]
	if d.state == registering {
		s.send(i, s.fleet.register(s.buffer, i*shards+s.number, d))
	} else {
		s.send(i, d.renew(s.buffer))
	}
	wait := float64(s.fleet.config.AckTimeout) * (1 + s.random.Float64()/2) * float64(int(1)<<d.tries)
	d.tries++
	s.plan(i, now+int64(wait))
}

// repeat sends a request again, or gives up and begins from the start.
func (s *shard) repeat(i int, now int64) {
	if s.devices[i].tries < maxTries {
		s.stats.Retransmitted++
		s.transmit(i, now)
		return
	}
	s.stats.Unanswered++
	s.leave(i)
	s.later(i, now, 5*s.fleet.config.AckTimeout)
}

// leave makes a device one that is not registered.
func (s *shard) leave(i int) {
	d := &s.devices[i]
	if d.state == registered || d.state == updating {
		s.stats.Registered--
	}
	d.state, d.observing = off, false
}

// later has a device begin again after about a time.
func (s *shard) later(i int, now int64, after time.Duration) {
	s.plan(i, now+int64(float64(after)*(0.5+s.random.Float64())))
}

// live has a registered device notify or update.
func (s *shard) live(i int, now int64) {
	d := &s.devices[i]
	if now < d.update {
		if d.observing {
			s.notify(i)
		}
		s.planLife(i, now)
		return
	}
	c := &s.fleet.config
	if s.random.Float64() < c.Restart {
		s.stats.Reset++
		s.leave(i)
		s.plan(i, now)
		return
	}
	if s.random.Float64() < c.Rebind {
		d.generation = (d.generation + 1) % generations
		s.stats.Rebound++
	}
	s.exchange(i, updating, now)
}

// planLife plans what a registered device does next.
func (s *shard) planLife(i int, now int64) {
	d := &s.devices[i]
	next := d.update
	if d.observing {
		next = min(next, now+int64(float64(s.fleet.config.Notify)*(0.5+s.random.Float64())))
	}
	s.plan(i, next)
}

func (s *shard) notify(i int) {
	d := &s.devices[i]
	d.sequence++
	d.id++
	d.value += float32(s.random.IntN(3)-1) / 10
	s.stats.Notifications++
	s.send(i, d.notification(s.buffer))
	d.awake = max(d.awake, s.now()+int64(s.fleet.config.Awake))
}

// send sends a datagram from the device's address, unless it is lost. Callers hold mu.
func (s *shard) send(i int, datagram []byte) {
	s.buffer = datagram[:0]
	if s.loses() {
		return
	}
	source := address(i*shards+s.number, s.devices[i].generation)
	copy(s.socket.source, source[:])
	_, _, _ = s.socket.WriteMsgUDPAddrPort(datagram, s.socket.control, s.fleet.config.Target) // or lost
}

func (s *shard) loses() bool {
	if loss := s.fleet.config.Loss; loss > 0 && s.random.Float64() < loss {
		s.stats.Lost++
		return true
	}
	return false
}

// read hands datagrams to the devices that they are for, until the socket is closed.
func (s *shard) read() error {
	b, control := make([]byte, 2048), make([]byte, 128)
	for {
		n, c, _, from, err := s.socket.ReadMsgUDPAddrPort(b, control)
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil
		case err != nil:
			return fmt.Errorf("receive for a fleet: %w", err)
		case from != s.fleet.config.Target:
			continue
		}
		if to, ok := destination(control[:c]); ok {
			s.hear(to, b[:n])
		}
	}
}

// hear has a device take a datagram.
func (s *shard) hear(to [4]byte, datagram []byte) {
	index, generation := deviceAt(to)
	if index < 0 || index >= s.fleet.config.Devices || index%shards != s.number {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i, now := index/shards, s.now()
	d := &s.devices[i]
	switch {
	case d.generation != generation || s.loses():
	case d.asleep(now):
		s.stats.Overheard++
	default:
		if p, ok := parse(datagram); ok {
			s.take(i, &p, now)
		}
	}
}

// take has a device act on a message.
func (s *shard) take(i int, p *packet, now int64) {
	d := &s.devices[i]
	switch {
	case p.kind == coap.Reset:
		if d.observing && p.id == d.id {
			d.observing = false
			s.stats.Cancelled++
		}
	case p.code.IsRequest():
		s.serve(i, p, now)
	case p.code.IsResponse():
		s.answered(i, p, now)
	case p.kind == coap.Confirmable: // a ping
		w := begin(s.buffer, coap.Reset, coap.Empty, p.id, nil)
		s.send(i, w.b)
	}
}

// serve answers the gateway's request.
func (s *shard) serve(i int, p *packet, now int64) {
	d := &s.devices[i]
	path, accept, observe := "", uint16(noFormat), uint16(noFormat)
	ok := p.options(func(id coap.OptionID, value []byte) {
		switch id {
		case coap.URIPath:
			path += "/" + string(value)
		case coap.Accept:
			accept = small(value)
		case coap.Observe:
			observe = small(value)
		}
	})
	if !ok {
		return
	}
	d.awake = now + int64(s.fleet.config.Awake)
	switch {
	case observe == 0 && path == sensorPath:
		s.stats.Observations++
		d.tokenSize = uint8(copy(d.token[:], p.token))
		d.observing = true
		if d.state == registered {
			s.planLife(i, now)
		}
	case observe == 1:
		d.observing = false
	case p.code == coap.GET:
		s.stats.Reads++
	}
	s.send(i, d.answer(s.buffer, p, path, accept, observe))
}

func small(value []byte) (n uint16) {
	for _, b := range value {
		n = n<<8 | uint16(b)
	}
	return n
}

// answered ends the device's exchange if it is what p answers.
func (s *shard) answered(i int, p *packet, now int64) {
	d := &s.devices[i]
	if p.kind == coap.Confirmable { // a separate answer
		w := begin(s.buffer, coap.Acknowledgement, coap.Empty, p.id, nil)
		s.send(i, w.b)
	}
	if string(p.token) != string(exchangeToken(d.id)) || d.state != registering && d.state != updating {
		return
	}
	switch {
	case d.state == registering && p.code == coap.Created:
		s.stats.Registration.Add(time.Duration(now - d.since))
		s.stats.Registrations++
		s.stats.Registered++
		p.options(func(id coap.OptionID, value []byte) {
			if id == coap.LocationPath && len(value) <= len(d.location) {
				d.locationSize = uint8(copy(d.location[:], value))
			}
		})
		s.settle(i, now)
		s.beginNext()
	case d.state == updating && p.code == coap.Changed:
		s.stats.Update.Add(time.Duration(now - d.since))
		s.stats.Updates++
		s.settle(i, now)
	case d.state == updating && p.code == coap.NotFound:
		s.stats.Unknown++
		s.leave(i)
		s.plan(i, now)
	default:
		s.stats.Refused++
		s.leave(i)
		s.later(i, now, s.patience(p))
	}
}

// patience is how long the gateway wants us to wait.
func (s *shard) patience(p *packet) time.Duration {
	wait := 5 * s.fleet.config.AckTimeout
	p.options(func(id coap.OptionID, value []byte) {
		if id == coap.MaxAge {
			wait = time.Duration(small(value)) * time.Second
		}
	})
	return wait
}

// settle makes a device one that is registered and has nothing under way.
func (s *shard) settle(i int, now int64) {
	d := &s.devices[i]
	d.state = registered
	d.awake = now + int64(s.fleet.config.Awake)
	d.update = now + int64(float64(s.fleet.config.Update)*(0.75+s.random.Float64()/2))
	s.planLife(i, now)
}

// renew brings the updates of all devices forward, spread over a time.
func (s *shard) renew(over time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for i := range s.devices {
		if d := &s.devices[i]; d.state == registered {
			d.update = now + int64(over)*int64(i)/int64(len(s.devices))
			s.plan(i, d.update)
		}
	}
}
