package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
	"github.com/edgehold/edgehold/lwm2m/codec"
	"github.com/edgehold/edgehold/lwm2m/model"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// start runs a server on a free port and returns its address.
func start(t *testing.T, c Config) string {
	t.Helper()
	udp, err := coap.ListenUDP(t.Context(), coap.UDPConfig{Addresses: []string{"127.0.0.1:0"}})
	must(t, err)
	c.Transports = []coap.Transport{udp}
	s, err := New(c)
	must(t, err)
	run(t, s.Run)
	return udp.Addresses()[0].String()
}

func run(t *testing.T, f func(context.Context) error) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	t.Cleanup(func() {
		stop()
		must(t, <-done)
	})
}

// device answers what a bootstrap server asks, and notes it.
type device struct {
	t        *testing.T
	endpoint *coap.Endpoint
	server   coap.Peer
	refuse   map[string]coap.Code // by "METHOD /path format"

	mu       sync.Mutex
	asked    []string
	written  lwm2m.Tree
	finished chan struct{}
}

func newDevice(t *testing.T, address string) *device {
	udp, err := coap.ListenUDP(t.Context(), coap.UDPConfig{Addresses: []string{"127.0.0.1:0"}})
	must(t, err)
	d := &device{t: t, refuse: map[string]coap.Code{}, finished: make(chan struct{})}
	d.endpoint, err = coap.New(coap.Config{Transports: []coap.Transport{udp}, Handler: d})
	must(t, err)
	run(t, d.endpoint.Run)
	d.server, err = udp.Dial(t.Context(), address)
	must(t, err)
	return d
}

func (d *device) Serve(_ context.Context, _ coap.Peer, request, response *coap.Message) {
	d.mu.Lock()
	defer d.mu.Unlock()
	said := request.Code.String() + " " + request.Path()
	format, has := request.Uint(coap.ContentFormat)
	if has {
		said += fmt.Sprintf(" %d", format)
	}
	d.asked = append(d.asked, said)
	if c, ok := d.refuse[said]; ok {
		response.Code = c
		return
	}
	switch request.Code {
	case coap.DELETE:
		response.Code = coap.Deleted
	case coap.GET:
		response.Code = coap.Content
		response.SetUint(coap.ContentFormat, 40)
		response.Payload = []byte(`</>;lwm2m=1.1,</0/4>;uri="coap://x",</1/0>;ssid=1`)
	case coap.PUT:
		tree, err := codec.Decode(lwm2m.Format(format), lwm2m.MustParsePath(request.Path()), request.Payload, model.Core().View(nil))
		if err != nil {
			d.t.Error(err)
		}
		d.written = append(d.written, tree...)
		response.Code = coap.Changed
	case coap.POST:
		response.Code = coap.Changed
		close(d.finished)
	}
}

func (d *device) ask(method coap.Code, path, query string) *coap.Message {
	d.t.Helper()
	m := &coap.Message{Code: method}
	m.SetPath(path)
	for q := range strings.SplitSeq(query, "&") {
		if q != "" {
			m.AddQuery(q)
		}
	}
	answer, err := d.endpoint.Do(d.t.Context(), d.server, m)
	must(d.t, err)
	return answer
}

// outcome is a Done function and what it was told.
func outcome() (func(Claim, error), chan error) {
	ended := make(chan error, 8)
	return func(_ Claim, err error) { ended <- err }, ended
}

var accounts = Accounts(1, Account{URI: "coap://10.0.0.1:5683", Short: 123, Mode: NoSec, Lifetime: time.Minute})

func give(p Provision) func(context.Context, Claim) (Provision, error) {
	return func(context.Context, Claim) (Provision, error) { return p, nil }
}

func TestBootstrap(t *testing.T) {
	for name, tc := range map[string]struct {
		query     string
		provision Provision
		refuse    map[string]coap.Code
		want      []string
		fails     bool
	}{
		"1.0":                   {"ep=dev", Provision{Tree: accounts}, nil, []string{"DELETE /", "PUT /0/1 11542", "PUT /1/0 11542", "POST /bs"}, false},
		"1.1":                   {"ep=dev&pct=112", Provision{Tree: accounts}, nil, []string{"DELETE /", "PUT /0/1 112", "PUT /1/0 112", "POST /bs"}, false},
		"a format that is none": {"ep=dev&pct=x", Provision{Tree: accounts}, nil, []string{"DELETE /", "PUT /0/1 11542", "PUT /1/0 11542", "POST /bs"}, false},
		"a format that it does not know": {"ep=dev", Provision{Tree: accounts}, map[string]coap.Code{"PUT /0/1 11542": coap.UnsupportedFormat},
			[]string{"DELETE /", "PUT /0/1 11542", "PUT /0/1 112", "PUT /1/0 112", "POST /bs"}, false},
		"nothing is deleted": {"ep=dev", Provision{Tree: accounts, Delete: []lwm2m.Path{}}, nil, []string{"PUT /0/1 11542", "PUT /1/0 11542", "POST /bs"}, false},
		"after a discover": {"ep=dev", Provision{Discovered: func(links lwm2m.Links) (Provision, error) {
			if len(links) != 3 {
				return Provision{}, errors.New("not what it has")
			}
			return Provision{Tree: accounts, Delete: []lwm2m.Path{lwm2m.PathOf(1)}}, nil
		}}, nil, []string{"GET /", "DELETE /1", "PUT /0/1 11542", "PUT /1/0 11542", "POST /bs"}, false},
		"the device refuses a write":  {"ep=dev", Provision{Tree: accounts}, map[string]coap.Code{"PUT /1/0 11542": coap.BadRequest}, []string{"DELETE /", "PUT /0/1 11542", "PUT /1/0 11542"}, true},
		"the device refuses to end":   {"ep=dev", Provision{Tree: accounts}, map[string]coap.Code{"POST /bs": coap.NotAcceptable}, []string{"DELETE /", "PUT /0/1 11542", "PUT /1/0 11542", "POST /bs"}, true},
		"the device refuses a delete": {"ep=dev", Provision{Tree: accounts}, map[string]coap.Code{"DELETE /": coap.MethodNotAllowed}, []string{"DELETE /"}, true},
		"every format is refused": {"ep=dev", Provision{Tree: accounts, Delete: []lwm2m.Path{}}, map[string]coap.Code{
			"PUT /0/1 11542": coap.UnsupportedFormat, "PUT /0/1 112": coap.UnsupportedFormat, "PUT /0/1 110": coap.UnsupportedFormat},
			[]string{"PUT /0/1 11542", "PUT /0/1 112", "PUT /0/1 110"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			done, ended := outcome()
			d := newDevice(t, start(t, Config{Provision: give(tc.provision), Done: done}))
			if tc.refuse != nil {
				d.refuse = tc.refuse
			}
			if got := d.ask(coap.POST, "/bs", tc.query); got.Code != coap.Changed {
				t.Fatalf("answers %s", got.Code)
			}
			if err := <-ended; (err != nil) != tc.fails {
				t.Errorf("ended with %v", err)
			}
			d.mu.Lock()
			defer d.mu.Unlock()
			if diff := cmp.Diff(tc.want, d.asked); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
			if !tc.fails && d.written.String() != accounts.String() {
				t.Errorf("written %s, want %s", d.written, accounts)
			}
		})
	}
}

func TestPack(t *testing.T) {
	d := newDevice(t, start(t, Config{Provision: give(Provision{Tree: accounts})}))
	got := d.ask(coap.GET, "/bspack", "ep=dev")
	if f, _ := got.Uint(coap.ContentFormat); got.Code != coap.Content || f != 112 {
		t.Fatalf("answers %s in %d", got.Code, f)
	}
	tree, err := codec.Decode(lwm2m.FormatSenMLCBOR, lwm2m.Path{}, got.Payload, model.Core().View(nil))
	must(t, err)
	if tree.String() != accounts.String() {
		t.Errorf("got %s, want %s", tree, accounts)
	}
	m := &coap.Message{Code: coap.GET}
	m.SetPath("/bspack")
	m.AddQuery("ep=dev")
	m.SetUint(coap.Accept, 0)
	if got, err = d.endpoint.Do(t.Context(), d.server, m); err != nil || got.Code != coap.NotAcceptable {
		t.Errorf("in text: %v, %v", got, err)
	}
}

func TestRefusals(t *testing.T) {
	withKey := Accounts(1, Account{URI: "coaps://x", Short: 1, Mode: PSK, Identity: []byte("dev"), Key: []byte("secret")})
	config := Config{Provision: func(_ context.Context, c Claim) (Provision, error) {
		switch c.Endpoint {
		case "unknown":
			return Provision{}, errors.New("no such device")
		case "keys":
			return Provision{Tree: withKey}, nil
		}
		return Provision{Tree: accounts}, nil
	}}
	d := newDevice(t, start(t, config))
	for _, tc := range []struct {
		method      coap.Code
		path, query string
		want        coap.Code
	}{
		{coap.POST, "/bs", "", coap.BadRequest}, {coap.POST, "/bs", "ep=", coap.BadRequest}, {coap.POST, "/bs", "ep=a\x00", coap.BadRequest},
		{coap.POST, "/bs", "ep=" + strings.Repeat("x", 129), coap.BadRequest}, {coap.POST, "/bs", "ep=unknown", coap.Forbidden},
		{coap.POST, "/bs", "ep=keys", coap.Forbidden}, {coap.GET, "/bspack", "ep=keys", coap.Forbidden}, {coap.GET, "/bspack", "", coap.BadRequest},
		{coap.GET, "/bs", "ep=a", coap.MethodNotAllowed}, {coap.POST, "/bspack", "ep=a", coap.MethodNotAllowed}, {coap.POST, "/rd", "ep=a", coap.NotFound},
	} {
		if got := d.ask(tc.method, tc.path, tc.query); got.Code != tc.want || len(got.Payload) > 0 {
			t.Errorf("%s %s?%q answers %s %q, want %s", tc.method, tc.path, tc.query, got.Code, got.Payload, tc.want)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.asked) > 0 {
		t.Errorf("it is asked %v", d.asked)
	}
}

func TestFlood(t *testing.T) {
	d := newDevice(t, start(t, Config{Provision: give(Provision{Tree: accounts}), Rate: 0.001, Sessions: 8}))
	var codes []coap.Code
	for range 4 {
		got := d.ask(coap.POST, "/bs", "ep=dev")
		codes = append(codes, got.Code)
		if age, ok := got.Uint(coap.MaxAge); got.Code == coap.ServiceUnavailable && (!ok || age < 10) {
			t.Errorf("Max-Age %d", age)
		}
	}
	if diff := cmp.Diff([]coap.Code{coap.Changed, coap.ServiceUnavailable, coap.ServiceUnavailable, coap.ServiceUnavailable}, codes); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
}

func TestSessionsAreBounded(t *testing.T) {
	release := make(chan struct{})
	done, ended := outcome()
	waits := Provision{Discovered: func(lwm2m.Links) (Provision, error) { <-release; return Provision{Tree: accounts}, nil }}
	address := start(t, Config{Provision: give(waits), Sessions: 2, Done: done})
	first, second := newDevice(t, address), newDevice(t, address)
	var codes []string
	for _, ask := range []struct {
		device   *device
		endpoint string
	}{{first, "a"}, {second, "b"}, {second, "c"}, {second, "a"}} { // the last: another peer under a name that is being bootstrapped
		codes = append(codes, ask.device.ask(coap.POST, "/bs", "ep="+ask.endpoint).Code.String())
	}
	if !slices.Equal(codes, []string{"2.04", "2.04", "5.03", "5.03"}) {
		t.Errorf("answers %v", codes)
	}
	close(release)
	for range 2 {
		must(t, <-ended)
	}
}

func TestStopsInTheMiddle(t *testing.T) {
	done, ended := outcome()
	udp, err := coap.ListenUDP(t.Context(), coap.UDPConfig{Addresses: []string{"127.0.0.1:0"}})
	must(t, err)
	reached := make(chan struct{})
	wait := make(chan struct{})
	s, err := New(Config{Transports: []coap.Transport{udp}, Done: done, Provision: give(Provision{Discovered: func(lwm2m.Links) (Provision, error) {
		close(reached)
		<-wait
		return Provision{Tree: accounts}, nil
	}})})
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- s.Run(ctx) }()
	d := newDevice(t, udp.Addresses()[0].String())
	d.ask(coap.POST, "/bs", "ep=dev")
	<-reached
	stop()
	close(wait)
	must(t, <-stopped)
	if err := <-ended; err == nil {
		t.Error("it ended well")
	}
}

func TestConfig(t *testing.T) {
	if _, err := New(Config{Rate: -1}); err == nil || strings.Count(err.Error(), "configure") != 3 {
		t.Errorf("got %v", err)
	}
}
