//go:build linux

package leshan

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
	"github.com/edgehold/edgehold/lwm2m/coap/dtls"
	"github.com/edgehold/edgehold/lwm2m/server"
	"github.com/edgehold/edgehold/lwm2m/server/bootstrap"
	"github.com/edgehold/edgehold/lwm2m/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var key = []byte("0123456789abcdef")

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func at(path string) lwm2m.Path { return lwm2m.MustParsePath(path) }

// need skips where the client can't be had.
func need(t *testing.T, err error) {
	t.Helper()
	if missing, ok := errors.AsType[*Missing](err); ok && os.Getenv("EDGEHOLD_SKIP_NOTHING") == "" {
		t.Skip(missing)
	}
	must(t, err)
}

// gateway is our server, which can be restarted on its ports.
type gateway struct {
	t             *testing.T
	dir           string
	plain, secure string // addresses
	server        *server.Server
	events        *server.Subscription
	stop          func()
}

func newGateway(t *testing.T) *gateway {
	g := &gateway{t: t, dir: t.TempDir(), plain: "127.0.0.1:0", secure: "127.0.0.1:0"}
	g.start()
	t.Cleanup(func() { g.stop() })
	return g
}

func (g *gateway) start() {
	t := g.t
	udp, err := coap.ListenUDP(t.Context(), coap.UDPConfig{Addresses: []string{g.plain}})
	must(t, err)
	g.plain = udp.Addresses()[0].String()
	secure, address := listenPSK(t, g.secure, "leshan-psk")
	g.secure = address
	st, _, err := store.Open(g.dir, store.Options{})
	must(t, err)
	g.server, err = server.New(server.Config{Transports: []coap.Transport{udp, secure}, Store: st, Authorise: server.Bound("leshan-nosec", "leshan-boot")})
	must(t, err)
	g.events = g.server.Subscribe(1000)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- st.Run(ctx) }()
	go func() { done <- g.server.Run(ctx) }()
	g.stop = func() {
		stop()
		must(t, <-done)
		must(t, <-done)
		must(t, st.Close())
		g.stop = func() {}
	}
}

func listenPSK(t *testing.T, address, identity string) (*dtls.Transport, string) {
	udp, err := net.ResolveUDPAddr("udp", address)
	must(t, err)
	socket, err := net.ListenUDP("udp", udp)
	must(t, err)
	transport, err := dtls.New(socket, dtls.Config{PSK: func(id []byte) ([]byte, string, error) {
		if string(id) != identity {
			return nil, "", errors.New("unknown")
		}
		return key, string(id), nil
	}})
	must(t, err)
	return transport, socket.LocalAddr().String()
}

// event waits for an event of a kind.
func (g *gateway) event(kind server.EventKind) server.Event {
	g.t.Helper()
	ctx, stop := context.WithTimeout(g.t.Context(), time.Minute)
	defer stop()
	for {
		e, err := g.events.Next(ctx)
		if err != nil {
			g.t.Fatalf("wait for %s: %v", kind, err)
		}
		if e.Kind == kind {
			return e
		}
	}
}

func object9(t *testing.T) []string {
	file, err := filepath.Abs("../../../../lwm2m/model/oma/9.xml")
	must(t, err)
	return []string{file}
}

func hear(t *testing.T, c *Process, prefix string) string {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	line, err := c.Hear(ctx, prefix)
	must(t, err)
	return line
}

// TestLeshan takes Leshan's client through everything that our server can ask of it.
func TestLeshan(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a Java process, and may download it")
	}
	for name, tc := range map[string]struct {
		endpoint string
		client   func(g *gateway) Config
	}{
		"NoSec": {"leshan-nosec", func(g *gateway) Config { return Config{URI: "coap://" + g.plain} }},
		"PSK":   {"leshan-psk", func(g *gateway) Config { return Config{URI: "coaps://" + g.secure, Identity: "leshan-psk", Key: key} }},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t)
			config := tc.client(g)
			config.Endpoint, config.Lifetime, config.Models = tc.endpoint, 30*time.Second, object9(t)
			client, err := Start(config)
			need(t, err)
			t.Cleanup(client.Close)
			hear(t, client, "registered")
			s := &session{T: t, g: g, client: client, endpoint: tc.endpoint}
			t.Run("registration", s.registration)
			t.Run("reads", s.within(s.reads))
			t.Run("writes", s.within(s.writes))
			t.Run("composite", s.within(s.composite))
			t.Run("observations", s.within(s.observations))
			t.Run("send", s.within(s.send))
			t.Run("object 9", s.within(s.software))
			t.Run("restart", s.within(s.restart))
			t.Run("end", s.within(s.end))
		})
	}
}

type session struct {
	*testing.T
	g        *gateway
	client   *Process
	endpoint string
}

// within gives a part of the session a context and its own T.
func (s *session) within(part func(ctx context.Context)) func(t *testing.T) {
	return func(t *testing.T) {
		outer := s.T
		s.T = t
		defer func() { s.T = outer }()
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		part(ctx)
	}
}

func (s *session) registration(t *testing.T) {
	e := s.g.event(server.Registered)
	r, ok := s.g.server.Device(s.endpoint)
	if !ok || e.Endpoint != s.endpoint || r.Version != lwm2m.V1_1 || r.Lifetime != 30*time.Second || !r.Has(at("/3/0")) || !r.Has(at("/9")) || r.QueueMode {
		t.Errorf("known is %+v", r)
	}
}

func (s *session) value(ctx context.Context, path string) string {
	s.Helper()
	tree, err := s.g.server.Read(ctx, s.endpoint, at(path))
	must(s.T, err)
	v, _ := tree.Value(at(path))
	return v.String()
}

func (s *session) reads(ctx context.Context) {
	if got := s.value(ctx, "/3/0/0"); got != `"Leshan"` {
		s.Errorf("manufacturer %s", got)
	}
	tree, err := s.g.server.Read(ctx, s.endpoint, at("/3"))
	must(s.T, err)
	if got, want := tree.String(), `/3/0/0 = "Leshan", /3/0/9 = 80, /3/0/11/0 = 0, /3/0/14 = "+00", /3/0/16 = "U"`; got != want {
		s.Errorf("object 3 is %s, want %s", got, want)
	}
	links, err := s.g.server.Discover(ctx, s.endpoint, at("/3/0"))
	must(s.T, err)
	if text := links.String(); !strings.Contains(text, "</3/0/9>") || strings.Contains(text, "</3/0/1>") {
		s.Errorf("discovered %s", text)
	}
	if _, err := s.g.server.Read(ctx, s.endpoint, at("/3/0/1")); server.CodeOf(err) != coap.NotFound {
		s.Errorf("what it does not have: %v", err)
	}
	if _, err := s.g.server.Read(ctx, s.endpoint, at("/3/0/4")); server.CodeOf(err) != coap.MethodNotAllowed {
		s.Errorf("what can't be read: %v", err)
	}
}

func (s *session) writes(ctx context.Context) {
	for _, offset := range []string{"+01", "+02"} {
		must(s.T, s.g.server.Replace(ctx, s.endpoint, at("/3/0/14"), lwm2m.Tree{{Path: at("/3/0/14"), Value: lwm2m.String(offset)}}))
		if got := s.value(ctx, "/3/0/14"); got != `"`+offset+`"` {
			s.Errorf("UTC offset %s", got)
		}
	}
	must(s.T, s.g.server.Write(ctx, s.endpoint, at("/3/0"), lwm2m.Tree{{Path: at("/3/0/14"), Value: lwm2m.String("+03")}}))
	if got := s.value(ctx, "/3/0/14"); got != `"+03"` {
		s.Errorf("UTC offset %s after a partial update", got)
	}
	err := s.g.server.Replace(ctx, s.endpoint, at("/3/0/0"), lwm2m.Tree{{Path: at("/3/0/0"), Value: lwm2m.String("x")}})
	if server.CodeOf(err) != coap.MethodNotAllowed {
		s.Errorf("what can't be written: %v", err)
	}
	must(s.T, s.g.server.WriteAttributes(ctx, s.endpoint, at("/3/0/9"), lwm2m.Attributes{Has: lwm2m.PMin | lwm2m.PMax, PMin: 1, PMax: 600}))
	links, err := s.g.server.Discover(ctx, s.endpoint, at("/3/0/9"))
	must(s.T, err)
	if text := links.String(); !strings.Contains(text, "pmin=1") || !strings.Contains(text, "pmax=600") {
		s.Errorf("discovered %s", text)
	}
	must(s.T, s.g.server.Execute(ctx, s.endpoint, at("/3/0/4"), ""))
	hear(s.T, s.client, "rebooted")
}

func (s *session) composite(ctx context.Context) {
	tree, err := s.g.server.ReadComposite(ctx, s.endpoint, at("/3/0/0"), at("/3/0/9"), at("/1/0/1"))
	must(s.T, err)
	if got, want := tree.String(), `/1/0/1 = 30, /3/0/0 = "Leshan", /3/0/9 = 80`; got != want {
		s.Errorf("got %s, want %s", got, want)
	}
	must(s.T, s.g.server.WriteComposite(ctx, s.endpoint, lwm2m.Tree{
		{Path: at("/1/0/6"), Value: lwm2m.Boolean(true)}, {Path: at("/3/0/14"), Value: lwm2m.String("+04")},
	}))
	if got := s.value(ctx, "/3/0/14"); got != `"+04"` {
		s.Errorf("UTC offset %s", got)
	}
	ids, tree, err := s.g.server.ObserveComposite(ctx, s.endpoint, at("/3/0/9"), at("/3/0/0"))
	must(s.T, err)
	if len(ids) != 1 || len(tree) != 2 {
		s.Errorf("observing %v, %s", ids, tree)
	}
	must(s.T, s.client.Tell("battery 60"))
	if e := s.g.event(server.Notified); e.Observation != ids[0] || !strings.Contains(e.Tree.String(), "/3/0/9 = 60") {
		s.Errorf("notified of %s, %v", e.Tree, e.Err)
	}
	must(s.T, s.g.server.Cancel(ctx, s.endpoint, ids[0]))
}

func (s *session) observations(ctx context.Context) {
	id, tree, err := s.g.server.Observe(ctx, s.endpoint, at("/3/0/9"))
	must(s.T, err)
	if tree.String() != "/3/0/9 = 60" {
		s.Errorf("at first %s", tree)
	}
	for _, value := range []string{"50", "40"} {
		must(s.T, s.client.Tell("battery "+value))
		if e := s.g.event(server.Notified); e.Observation != id || e.Tree.String() != "/3/0/9 = "+value {
			s.Errorf("notified of %s, %v", e.Tree, e.Err)
		}
	}
}

func (s *session) send(context.Context) {
	for _, format := range []string{"SENML_CBOR", "SENML_JSON"} {
		must(s.T, s.client.Tell("send "+format))
		if e := s.g.event(server.Sent); e.Tree.String() != `/3/0/0 = "Leshan", /3/0/9 = 40` {
			s.Errorf("sent %s", e.Tree)
		}
		if said := hear(s.T, s.client, "sent"); !strings.Contains(said, "CHANGED") {
			s.Errorf("it heard %q", said)
		}
	}
}

// software is D3.3's deployment of a workload: create, package, install, activate, deactivate, uninstall, delete.
func (s *session) software(ctx context.Context) {
	path, err := s.g.server.Create(ctx, s.endpoint, at("/9/3"), nil)
	must(s.T, err)
	if path != at("/9/3") {
		s.Errorf("created %s", path)
	}
	_, _, err = s.g.server.Observe(ctx, s.endpoint, at("/9/3"))
	must(s.T, err)
	tooLarge := lwm2m.Tree{{Path: at("/9/3/2"), Value: lwm2m.Opaque(make([]byte, 100_000))}}
	if err := s.g.server.Replace(ctx, s.endpoint, at("/9/3/2"), tooLarge); server.CodeOf(err) != coap.EntityTooLarge {
		s.Errorf("more than it takes: %v", err)
	}
	content := make([]byte, 20_000) // twenty blocks
	sum := 0
	for i := range content {
		content[i] = byte(i * 7)
		sum = (sum*31 + int(content[i])) & 0xffffff
	}
	must(s.T, s.g.server.Replace(ctx, s.endpoint, at("/9/3/2"), lwm2m.Tree{{Path: at("/9/3/2"), Value: lwm2m.Opaque(content)}}))
	if said, want := hear(s.T, s.client, "package"), fmt.Sprintf("package %d %d", len(content), sum); said != want {
		s.Errorf("it got %q, want %q", said, want)
	}
	state := func(want string) {
		s.Helper()
		if got := s.value(ctx, "/9/3/7") + " " + s.value(ctx, "/9/3/9") + " " + s.value(ctx, "/9/3/12"); got != want {
			s.Errorf("state, result and activation are %s, want %s", got, want)
		}
	}
	execute := func(resource, arguments string) {
		s.Helper()
		must(s.T, s.g.server.Execute(ctx, s.endpoint, at("/9/3/"+resource), arguments))
	}
	state("3 0 false")
	if err := s.g.server.Execute(ctx, s.endpoint, at("/9/3/10"), ""); server.CodeOf(err) != coap.MethodNotAllowed {
		s.Errorf("activated before it was installed: %v", err)
	}
	execute("4", "")
	state("4 2 false")
	execute("10", "")
	state("4 2 true")
	execute("11", "")
	state("4 2 false")
	execute("6", "0='1'")
	if said := hear(s.T, s.client, "uninstalled"); said != "uninstalled 0='1'" {
		s.Errorf("it heard %q", said)
	}
	state("0 0 false")
	must(s.T, s.g.server.Delete(ctx, s.endpoint, at("/9/3")))
	hear(s.T, s.client, "deleted 3")
	if _, err := s.g.server.Read(ctx, s.endpoint, at("/9/3")); server.CodeOf(err) != coap.NotFound {
		s.Errorf("after its deletion: %v", err)
	}
}

// restart ends our server and begins it anew: the device notices nothing over plain CoAP, and goes on.
func (s *session) restart(ctx context.Context) {
	before, _ := s.g.server.Device(s.endpoint)
	s.g.stop()
	s.g.start()
	if r, ok := s.g.server.Device(s.endpoint); !ok || r.ID != before.ID {
		s.Errorf("after the restart known is %+v", r)
	}
	must(s.T, s.client.Tell("update"))
	if s.endpoint == "leshan-nosec" {
		hear(s.T, s.client, "updated")
		s.g.event(server.Updated)
		must(s.T, s.client.Tell("battery 30"))
		if e := s.g.event(server.Notified); e.Tree.String() != "/3/0/9 = 30" {
			s.Errorf("notified of %s, %v", e.Tree, e.Err)
		}
	} else {
		s.g.event(server.Updated) // by a new association, as this gateway keeps no states of DTLS
	}
	if got := s.value(ctx, "/3/0/0"); got != `"Leshan"` {
		s.Errorf("manufacturer %s", got)
	}
	must(s.T, s.g.server.Remove(s.endpoint)) // so that its next update is answered 4.04
	must(s.T, s.client.Tell("update"))
	hear(s.T, s.client, "registered")
	s.g.event(server.Registered)
	if r, ok := s.g.server.Device(s.endpoint); !ok || r.ID == before.ID {
		s.Errorf("registered again as %+v", r)
	}
}

func (s *session) end(context.Context) {
	must(s.T, s.client.Tell("stop"))
	hear(s.T, s.client, "deregistered")
	s.g.event(server.Deregistered)
	if s.g.server.Len() != 0 {
		s.Errorf("%d devices are there", s.g.server.Len())
	}
}

// TestLeshanBootstraps has our bootstrap server give Leshan's client its account, over PSK and in the open.
func TestLeshanBootstraps(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a Java process, and may download it")
	}
	g := newGateway(t)
	secure, address := listenPSK(t, "127.0.0.1:0", "leshan-psk")
	udp, err := coap.ListenUDP(t.Context(), coap.UDPConfig{Addresses: []string{"127.0.0.1:0"}})
	must(t, err)
	ended := make(chan error, 8)
	b, err := bootstrap.New(bootstrap.Config{
		Transports: []coap.Transport{udp, secure},
		Done:       func(_ bootstrap.Claim, err error) { ended <- err },
		Provision: func(_ context.Context, c bootstrap.Claim) (bootstrap.Provision, error) {
			account := bootstrap.Account{URI: "coap://" + g.plain, Short: 123, Mode: bootstrap.NoSec, Lifetime: time.Minute}
			if c.Peer.Identity != "" {
				account = bootstrap.Account{URI: "coaps://" + g.secure, Short: 123, Mode: bootstrap.PSK, Identity: []byte(c.Peer.Identity), Key: key, Lifetime: time.Minute}
			}
			return bootstrap.Provision{Tree: bootstrap.Accounts(1, account)}, nil
		},
	})
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	defer func() { stop(); must(t, <-done) }()
	for endpoint, config := range map[string]Config{
		"leshan-boot": {URI: "coap://" + udp.Addresses()[0].String()},
		"leshan-psk":  {URI: "coaps://" + address, Identity: "leshan-psk", Key: key},
	} {
		t.Run(endpoint, func(t *testing.T) {
			config.Endpoint, config.Bootstrap, config.Models = endpoint, true, object9(t)
			client, err := Start(config)
			need(t, err)
			defer client.Close()
			hear(t, client, "bootstrapped")
			must(t, <-ended)
			hear(t, client, "registered")
			if r, ok := g.server.Device(endpoint); !ok || r.Lifetime != time.Minute {
				t.Errorf("known is %+v", r)
			}
		})
	}
}
