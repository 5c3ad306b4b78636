package route

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/client"
	"github.com/edgehold/edgehold/lwm2m/coap"
	"github.com/edgehold/edgehold/lwm2m/device/runner"
	"github.com/edgehold/edgehold/sdf/mqtt"
)

// delivery is what an input was given.
type delivery struct {
	id    uint16
	input string
	value runner.Value
	hops  int
}

// inputs are those of workloads: names that begin with b take bytes.
type inputs chan delivery

func (in inputs) Deliver(id uint16, input string, v runner.Value, hops int) error {
	if strings.HasPrefix(input, "b") != (v.Bytes != nil) {
		return runner.ErrValue
	}
	if id > 9 {
		return runner.ErrUnknown
	}
	in <- delivery{id, input, v, hops}
	return nil
}

// patience is how long a test waits for what others bring about, on a machine that has other work.
const patience = time.Minute

func (in inputs) want(t *testing.T, input string, number float64) delivery {
	t.Helper()
	select {
	case d := <-in:
		if d.input != input || d.value.Number != number {
			t.Fatalf("got %+v, want %s %v", d, input, number)
		}
		return d
	case <-time.After(patience):
		t.Fatal("nothing came")
	}
	return delivery{}
}

// device is a router with a CoAP endpoint of its own.
type device struct {
	*Router
	inputs  inputs
	address string
}

func newDevice(t *testing.T) *device {
	t.Helper()
	u, err := coap.ListenUDP(t.Context(), coap.UDPConfig{Addresses: []string{"127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	d := &device{inputs: make(inputs, 64), address: u.Addresses()[0].String()}
	poster := &Poster{Dialer: u}
	publisher := &Publisher{ClientID: "sensor-7"}
	d.Router = New(Config{Inputs: d.inputs, CoAP: poster, MQTT: publisher})
	poster.Endpoint, err = coap.New(coap.Config{Transports: []coap.Transport{u}, Handler: coap.HandlerFunc(d.Serve)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- poster.Endpoint.Run(ctx) }()
	go func() { ended <- d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-ended
		<-ended
		publisher.Close()
	})
	return d
}

func (d *device) route(t *testing.T, id uint16, origin, destination string) {
	t.Helper()
	if err := d.Set(id, origin, destination); err != nil {
		t.Fatal(err)
	}
}

func output(name string, v float64) runner.Output {
	return runner.Output{Workload: 1, Name: name, Value: runner.Value{Number: v}}
}

// The rows of D3.3's table 13, over real sockets.
func TestOutputToAnotherDevice(t *testing.T) {
	a, b := newDevice(t), newDevice(t)
	a.route(t, 0, "local://1/temp_avg", "coap://"+b.address+"/endpoint1")
	b.route(t, 0, "coap://endpoint1", "local://1/temp1")
	a.Emit(output("temp_avg", 21.25))
	a.Emit(output("other", 1))
	a.Emit(output("temp_avg", -3))
	if d := b.inputs.want(t, "temp1", 21.25); d.id != 1 || d.hops != 1 {
		t.Errorf("got %+v", d)
	}
	b.inputs.want(t, "temp1", -3)
}

func TestForwardingToAnotherDevice(t *testing.T) {
	a, b, c := newDevice(t), newDevice(t), newDevice(t)
	a.route(t, 0, "local://1/temp_avg", "coap://"+b.address+"/endpoint1")
	b.route(t, 0, "coap://endpoint1", "coap://"+c.address+"/endpoint2")
	c.route(t, 0, "coap://endpoint2", "local://2/bytes")
	a.Emit(runner.Output{Workload: 1, Name: "temp_avg", Value: runner.Value{Bytes: []byte("warm")}})
	select {
	case d := <-c.inputs:
		if string(d.value.Bytes) != "warm" || d.hops != 2 {
			t.Errorf("got %+v", d)
		}
	case <-time.After(patience):
		t.Fatal("nothing came")
	}
}

func TestForwardingToABroker(t *testing.T) {
	broker, heard := listening(t, "topic1", mqtt.BrokerConfig{Listeners: []mqtt.Listener{{Address: "mqtt://127.0.0.1:0"}}})
	a, b := newDevice(t), newDevice(t)
	a.route(t, 0, "local://1/temp_avg", "coap://"+b.address+"/endpoint1")
	b.route(t, 0, "coap://endpoint1", "mqtt://"+broker.Addresses()[0].String()+"/topic1")
	a.Emit(output("temp_avg", 21.25))
	select {
	case m := <-heard:
		if string(m.Payload) != "21.25" || m.ContentType != "text/plain" {
			t.Errorf("got %+v", m)
		}
	case <-time.After(patience):
		t.Fatal("nothing came")
	}
}

// Two devices that pass everything on to each other come to an end.
func TestLoopOfTwoDevices(t *testing.T) {
	a, b := newDevice(t), newDevice(t)
	a.route(t, 0, "local://1/out", "coap://"+b.address+"/x")
	a.route(t, 1, "coap://x", "coap://"+b.address+"/x")
	b.route(t, 0, "coap://x", "coap://"+a.address+"/x")
	a.Emit(output("out", 1))
	deadline := time.Now().Add(patience)
	for a.Stats().Loops+b.Stats().Loops == 0 {
		if time.Now().After(deadline) {
			t.Fatalf("it goes round: %+v, %+v", a.Stats(), b.Stats())
		}
		time.Sleep(time.Millisecond)
	}
	if n := a.Stats().Carried + b.Stats().Carried; n > MaxHops {
		t.Errorf("it was carried %d times", n)
	}
}

func TestLoopsOnOneDeviceAreRefused(t *testing.T) {
	r := New(Config{Inputs: make(inputs, 8)})
	must := func(id uint16, from, to string) {
		t.Helper()
		if err := r.Set(id, from, to); err != nil {
			t.Fatal(err)
		}
	}
	must(0, "local://1/a", "local://2/a")
	must(1, "local://2/a", "local://3/a")
	for _, loop := range [][2]string{{"local://3/a", "local://1/a"}, {"local://1/x", "local://1/y"}, {"local://2/b", "local://1/b"}} {
		if err := r.Set(2, loop[0], loop[1]); !errors.Is(err, ErrLoop) {
			t.Errorf("%v: got %v", loop, err)
		}
	}
	must(1, "local://3/a", "local://4/a") // replacing may take a way that the old one had closed
	must(2, "local://3/a", "local://1/c")
}

func TestRoutesAreBounded(t *testing.T) {
	r := New(Config{Inputs: make(inputs, 8)})
	for id := range uint16(MaxRoutes) {
		if err := r.Set(id, fmt.Sprintf("coap://x%d", id), "local://1/a"); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Set(MaxRoutes, "coap://y", "local://1/a"); !errors.Is(err, ErrTooMany) {
		t.Errorf("got %v", err)
	}
	if err := r.Set(0, "coap://x0", "mqtt://b/t"); !errors.Is(err, ErrNoWay) {
		t.Errorf("got %v", err)
	}
}

// A neighbour that does not answer costs a bounded queue and nothing else.
func TestQueueKeepsTheNewest(t *testing.T) {
	r := New(Config{Inputs: make(inputs, 8), CoAP: silent{}})
	if err := r.Set(0, "local://1/a", "coap://192.0.2.1:1/x"); err != nil {
		t.Fatal(err)
	}
	for n := range queueItems + 5 {
		r.Emit(output("a", float64(n)))
	}
	if s := r.Stats(); s.Dropped != 5 {
		t.Errorf("got %+v", s)
	}
	if i := <-r.routes[0].queue; string(i.Payload) != "5" {
		t.Errorf("the oldest that waits is %s", i.Payload)
	}
}

type silent struct{}

func (silent) Send(ctx context.Context, _ End, _ Item) error {
	<-ctx.Done()
	return ctx.Err()
}

// deadHost takes nothing until it is back.
type deadHost struct {
	tried atomic.Int64
	back  atomic.Bool
}

func (d *deadHost) Send(context.Context, End, Item) error {
	if d.tried.Add(1); d.back.Load() {
		return nil
	}
	return errors.New("nobody answers")
}

// A dead host is told of once, and not with every value.
func TestLogOfADeadHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host, log := &deadHost{}, &strings.Builder{}
		r := New(Config{CoAP: host, Logger: slog.New(slog.NewTextHandler(log, nil))})
		if err := r.Set(1, "local://1/a", "coap://127.0.0.1:9/x"); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		synctest.Wait()
		emit := func(n int) {
			for range n {
				r.Emit(output("a", 1))
				synctest.Wait()
			}
		}
		emit(50)
		host.back.Store(true)
		emit(50)
		stop()
		<-done
		if n := strings.Count(log.String(), "\n"); n != 2 || host.tried.Load() != 100 || !strings.Contains(log.String(), "lost=50") {
			t.Errorf("%d attempts, %d lines:\n%s", host.tried.Load(), n, log)
		}
	})
}

func TestServe(t *testing.T) {
	in := make(inputs, 8)
	r := New(Config{Inputs: in})
	for id, to := range map[uint16]string{0: "local://1/n", 1: "local://10/n"} {
		if err := r.Set(id, fmt.Sprintf("coap://e%d", id), to); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		code    coap.Code
		path    string
		payload string
		hops    uint32
		want    coap.Code
	}{
		"number":          {coap.POST, "/e0", " 21.5\n", 16, coap.Changed},
		"put":             {coap.PUT, "/e0", "1", 9, coap.Changed},
		"no number":       {coap.POST, "/e0", "warm", 16, coap.BadRequest},
		"infinite":        {coap.POST, "/e0", "inf", 16, coap.BadRequest},
		"no route":        {coap.POST, "/e2", "1", 16, coap.NotFound},
		"no workload":     {coap.POST, "/e1", "1", 16, coap.ServiceUnavailable},
		"another method":  {coap.GET, "/e0", "", 16, coap.MethodNotAllowed},
		"too long":        {coap.POST, "/e0", strings.Repeat("1", 5000), 16, coap.EntityTooLarge},
		"round too often": {coap.POST, "/e0", "1", 1, hopLimitReached},
	} {
		request, response := &coap.Message{Code: test.code, Payload: []byte(test.payload)}, &coap.Message{Code: coap.NotFound}
		request.SetPath(test.path)
		request.SetUint(hopLimit, test.hops)
		r.Serve(t.Context(), coap.Peer{}, request, response)
		if response.Code != test.want {
			t.Errorf("%s: got %s, want %s", name, response.Code, test.want)
		}
	}
}

func TestObjectKeepsRoutes(t *testing.T) {
	store := client.Folder(t.TempDir())
	in := make(inputs, 8)
	r := New(Config{Inputs: in})
	o, err := NewObject(r, store)
	if err != nil {
		t.Fatal(err)
	}
	values := func(id uint16, origin, destination string) (lwm2m.Path, lwm2m.Tree) {
		p := lwm2m.PathOf(objectID, id)
		return p, lwm2m.Tree{{Path: p.Child(resOrigin), Value: lwm2m.String(origin)}, {Path: p.Child(resDestination), Value: lwm2m.String(destination)}}
	}
	if err := o.Create(values(3, "local://1/a", "local://2/b")); err != nil {
		t.Fatal(err)
	}
	if err := o.Create(values(4, "local://1/a", "nowhere")); !errors.Is(err, client.ErrBadRequest) {
		t.Errorf("got %v", err)
	}
	p, tree := values(3, "local://1/a", "local://2/c")
	if err := o.Write(p, tree, client.Replace); err != nil {
		t.Fatal(err)
	}
	r.Emit(output("a", 1))
	in.want(t, "c", 1)

	again := New(Config{Inputs: in})
	kept, err := NewObject(again, store)
	if err != nil || len(kept.Instances(nil)) != 1 {
		t.Fatalf("got %v, %v", kept.Contents(), err)
	}
	again.Emit(output("a", 2))
	in.want(t, "c", 2)
	if err := kept.Delete(p); err != nil {
		t.Fatal(err)
	}
	again.Emit(output("a", 3))
	if len(in) != 0 {
		t.Error("a route that is gone still carries")
	}
	if err := store.Save(document, []byte("{")); err != nil {
		t.Fatal(err)
	}
	if _, err := NewObject(New(Config{Inputs: in}), store); err == nil {
		t.Error("damaged routes are not told")
	}
}
