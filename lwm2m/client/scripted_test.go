package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
)

// scripted is a network with one server on it, which answers as the test says and asks what the test asks.
type scripted struct {
	mu       sync.Mutex
	requests []string // in order, as "POST /rd?ep=dev&lt=60"
	times    []time.Time
	notes    []*coap.Message
	handler  coap.Handler
	closed   int
	heard    time.Time
	asleep   bool

	// answer is what the server says to a request; nil registers and takes everything.
	answer func(m *coap.Message) (*coap.Message, error)
	// noted is what becomes of a notification.
	noted func(m *coap.Message) error
	// refuse makes Connect fail.
	refuse error
}

func (n *scripted) Connect(_ context.Context, _ Account, _ Target, h coap.Handler) (Endpoint, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.refuse != nil {
		return nil, n.refuse
	}
	n.handler, n.heard, n.asleep = h, time.Now(), false
	return n, nil
}

func describe(m *coap.Message) string {
	text, mark := m.Code.String()+" "+m.Path(), "?"
	for q := range m.All(coap.URIQuery) {
		text += mark + string(q)
		mark = "&"
	}
	return text
}

func (n *scripted) Do(ctx context.Context, m *coap.Message) (*coap.Message, error) {
	n.mu.Lock()
	n.requests, n.times = append(n.requests, describe(m)), append(n.times, time.Now())
	n.heard, n.asleep = time.Now(), false
	answer := n.answer
	n.mu.Unlock()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if answer != nil {
		if reply, err := answer(m); reply != nil || err != nil {
			return reply, err
		}
	}
	return agreeable(m), nil
}

// agreeable is what a server says that likes everything.
func agreeable(m *coap.Message) *coap.Message {
	switch {
	case m.Code == coap.POST && m.Path() == "/rd":
		reply := &coap.Message{Code: coap.Created}
		reply.SetLocation("/rd/1")
		return reply
	case m.Code == coap.DELETE:
		return &coap.Message{Code: coap.Deleted}
	default:
		return &coap.Message{Code: coap.Changed}
	}
}

func (n *scripted) Notify(_ context.Context, m *coap.Message) error {
	n.mu.Lock()
	n.notes = append(n.notes, m.Clone())
	noted := n.noted
	n.mu.Unlock()
	if noted == nil {
		return nil
	}
	return noted(m)
}

func (n *scripted) Listen(on bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asleep = !on
}

func (n *scripted) Heard() time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.heard
}

func (n *scripted) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed++
	return nil
}

// take returns the requests since the last call.
func (n *scripted) take() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := n.requests
	n.requests = nil
	return out
}

// notified returns the payloads of the notifications since the last call.
func (n *scripted) notified() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []string
	for _, m := range n.notes {
		out = append(out, string(m.Payload))
	}
	n.notes = nil
	return out
}

// ask is the server asking the device.
func (n *scripted) ask(m *coap.Message) *coap.Message {
	n.mu.Lock()
	h := n.handler
	n.heard = time.Now()
	n.mu.Unlock()
	reply := &coap.Message{Code: coap.NotFound}
	h.Serve(context.Background(), coap.Peer{}, m, reply)
	return reply
}

// say makes a request of a line such as "PUT /3/0/13?pmin=1".
func say(code coap.Code, path string, queries ...string) *coap.Message {
	m := &coap.Message{Code: code, Token: coap.TokenOf([]byte(path))}
	m.SetPath(path)
	for _, q := range queries {
		m.AddQuery(q)
	}
	return m
}

func with(m *coap.Message, f lwm2m.Format, payload string) *coap.Message {
	m.SetUint(coap.ContentFormat, uint32(f))
	m.Payload = []byte(payload)
	return m
}

func accepting(m *coap.Message, f lwm2m.Format) *coap.Message {
	m.SetUint(coap.Accept, uint32(f))
	return m
}

func observing(m *coap.Message) *coap.Message {
	m.SetUint(coap.Observe, 0)
	return m
}

// gauge is an object with a number that the test sets, a flag, a list, a text and a button.
type gauge struct {
	mu      sync.Mutex
	number  float64
	flag    bool
	text    string
	pressed []string
	changed func(lwm2m.Path)
	got     []byte
}

var gaugeDefinition = Definition{ID: 3303, Version: lwm2m.V1_1, Multiple: true, Resources: []Resource{
	{ID: 1, Name: "Blob", Kind: lwm2m.KindOpaque, Operations: Writable},
	{ID: 5500, Name: "Flag", Kind: lwm2m.KindBoolean, Operations: Readable},
	{ID: 5602, Name: "Sampled", Kind: lwm2m.KindFloat, Operations: Readable, Sampled: true},
	{ID: 5605, Name: "Reset", Operations: Executable},
	{ID: 5700, Name: "Value", Kind: lwm2m.KindFloat, Operations: Readable},
	{ID: 5701, Name: "Text", Kind: lwm2m.KindString, Operations: ReadWrite},
	{ID: 5702, Name: "Both", Kind: lwm2m.KindInteger, Operations: Readable, Multiple: true},
}}

func (g *gauge) Definition() *Definition           { return &gaugeDefinition }
func (g *gauge) Instances(dst []uint16) []uint16   { return append(dst, 0) }
func (g *gauge) Announce(changed func(lwm2m.Path)) { g.changed = changed }
func (g *gauge) Streams(p lwm2m.Path) bool         { return p.Resource() == 1 }
func (g *gauge) Execute(_ lwm2m.Path, args string) error {
	g.pressed = append(g.pressed, args)
	return nil
}

func (g *gauge) Read(dst lwm2m.Tree, p lwm2m.Path) (lwm2m.Tree, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch p.Resource() {
	case 5500:
		return append(dst, lwm2m.Record{Path: p, Value: lwm2m.Boolean(g.flag)}), nil
	case 5602, 5700:
		return append(dst, lwm2m.Record{Path: p, Value: lwm2m.Float(g.number)}), nil
	case 5701:
		return append(dst, lwm2m.Record{Path: p, Value: lwm2m.String(g.text)}), nil
	case 5702:
		return append(dst, lwm2m.Record{Path: p.Child(1), Value: lwm2m.Integer(10)}, lwm2m.Record{Path: p.Child(4), Value: lwm2m.Integer(40)}), nil
	}
	return dst, nil
}

func (g *gauge) Write(_ lwm2m.Path, t lwm2m.Tree, _ WriteMode) error {
	if len(t) == 1 && t[0].Value.Text() == "broken" {
		return errors.New("the wire is cut: secret detail")
	}
	for _, r := range t {
		g.text = r.Value.Text()
	}
	return nil
}

func (g *gauge) WriteBlock(_ lwm2m.Path, b Block) error {
	if b.Offset == 0 {
		g.got = nil
	}
	if int64(len(g.got)) != b.Offset {
		return fmt.Errorf("have %d bytes: %w", len(g.got), ErrIncomplete)
	}
	g.got = append(g.got, b.Data...)
	return nil
}

// set moves the number, and announces it.
func (g *gauge) set(n float64) {
	g.mu.Lock()
	g.number, g.flag = n, n != 0
	g.mu.Unlock()
	g.changed(lwm2m.PathOf(3303, 0, 5700))
	g.changed(lwm2m.PathOf(3303, 0, 5500))
}

// device is a client of a scripted network, running until the test ends.
type device struct {
	*Client
	network *scripted
	gauge   *gauge
	stop    func()
	ended   chan error
}

func startDevice(t *testing.T, change func(*Config)) *device {
	t.Helper()
	d := &device{network: &scripted{}, gauge: &gauge{number: 20}, ended: make(chan error, 1)}
	config := Config{
		Endpoint: "dev", Network: d.network, Objects: []Object{d.gauge, NewTable(routeDefinition, Rules{})},
		Accounts: []Account{{URI: "coap://server", Short: 1, Mode: NoSec, Lifetime: 10 * time.Minute, SendAllowed: true}},
	}
	if change != nil {
		change(&config)
	}
	var err error
	if d.Client, err = New(config); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var once sync.Once
	d.stop = func() { once.Do(cancel) }
	go func() { d.ended <- d.Run(ctx) }()
	t.Cleanup(func() {
		d.stop()
		<-d.ended
	})
	return d
}
