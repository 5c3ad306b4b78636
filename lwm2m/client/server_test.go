package client_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/client"
	"github.com/edgehold/edgehold/lwm2m/coap"
	"github.com/edgehold/edgehold/lwm2m/coap/dtls"
	"github.com/edgehold/edgehold/lwm2m/device/firmware"
	"github.com/edgehold/edgehold/lwm2m/device/machine"
	"github.com/edgehold/edgehold/lwm2m/server"
	"github.com/edgehold/edgehold/plugins/parcel"
)

// quick are timers for a loopback where messages get lost on purpose.
var quick = coap.Reliability{AckTimeout: 60 * time.Millisecond, MaxRetransmit: 8, ResponseTimeout: 10 * time.Second}

// lossy is a transport that loses some of what it sends and receives.
type lossy struct {
	coap.Transport
	rate float64
}

func (l lossy) Send(p coap.Peer, m []byte) error {
	if rand.Float64() < l.rate {
		return nil
	}
	return l.Transport.Send(p, m)
}

func (l lossy) Serve(ctx context.Context, r coap.Receiver) error {
	return l.Transport.Serve(ctx, deaf{r, l.rate})
}

type deaf struct {
	coap.Receiver
	rate float64
}

func (d deaf) Receive(p coap.Peer, m []byte) {
	if rand.Float64() >= d.rate {
		d.Receiver.Receive(p, m)
	}
}

// site is a way between a server and a device.
type site struct {
	name      string
	transport func(t *testing.T) (coap.Transport, client.Account)
}

var sites = []site{
	{"UDP", plainUDP}, {"DTLS with a key", securedUDP}, {"DTLS with certificates", certifiedUDP}, {"TCP", plainTCP},
	{"UDP with 20 % loss", func(t *testing.T) (coap.Transport, client.Account) {
		transport, account := plainUDP(t)
		return lossy{transport, 0.2}, account
	}},
}

func plainUDP(t *testing.T) (coap.Transport, client.Account) {
	t.Helper()
	u, err := coap.ListenUDP(t.Context(), coap.UDPConfig{Addresses: []string{"127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	return u, client.Account{URI: "coap://" + u.Addresses()[0].String(), Mode: client.NoSec}
}

func plainTCP(t *testing.T) (coap.Transport, client.Account) {
	t.Helper()
	l, err := coap.ListenTCP(t.Context(), coap.TCPConfig{Addresses: []string{"127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	return l, client.Account{URI: "coap+tcp://" + l.Addresses()[0].String(), Mode: client.NoSec}
}

func securedUDP(t *testing.T) (coap.Transport, client.Account) {
	t.Helper()
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	key := []byte("sixteen bytes ok")
	d, err := dtls.New(socket, dtls.Config{PSK: func(identity []byte) ([]byte, string, error) {
		if string(identity) != "dev" {
			return nil, "", errors.New("unknown")
		}
		return key, "dev", nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return d, client.Account{URI: "coaps://" + socket.LocalAddr().String(), Mode: client.PSK, Identity: "dev", Key: string(key)}
}

// certify makes a certificate for a name; its authority is itself if signer is nil.
func certify(t *testing.T, name string, by *tls.Certificate) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: by == nil, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	issuer, issuerKey := template, any(key)
	if by != nil {
		issuer, issuerKey = by.Leaf, by.PrivateKey
	}
	der, err := x509.CreateCertificate(crand.Reader, template, issuer, key.Public(), issuerKey)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func certifiedUDP(t *testing.T) (coap.Transport, client.Account) {
	t.Helper()
	authority := certify(t, "authority", nil)
	ours, devices := certify(t, "gateway.example", &authority), certify(t, "dev", &authority)
	roots := x509.NewCertPool()
	roots.AddCert(authority.Leaf)
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	d, err := dtls.New(socket, dtls.Config{Certificates: []tls.Certificate{ours}, ClientCAs: roots})
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(devices.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return d, client.Account{
		URI: "coaps://" + socket.LocalAddr().String(), Mode: client.Certificate, Identity: string(devices.Certificate[0]), Key: string(key),
		ServerKey: string(authority.Certificate[0]), SNI: "gateway.example", Usage: 2,
	}
}

// pair is a server and a device that runs against it.
type pair struct {
	t      *testing.T
	server *server.Server
	events *server.Subscription
	client *client.Client
	radio  *machine.SimulatedRadio
	dir    string
	stop   func() // the device
	seen   []string
}

var routes = client.Definition{ID: 35001, Multiple: true, Resources: []client.Resource{
	{ID: 27200, Name: "Origin URI", Kind: lwm2m.KindString, Operations: client.ReadWrite, Mandatory: true},
	{ID: 27201, Name: "Destination URI", Kind: lwm2m.KindString, Operations: client.ReadWrite},
}}

var signer = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))

func meet(t *testing.T, s site, times server.Times, change func(*client.Config)) *pair {
	t.Helper()
	transport, account := s.transport(t)
	p := &pair{t: t, radio: &machine.SimulatedRadio{}, dir: t.TempDir()}
	var err error
	limits := coap.Limits{PeerRate: -1}
	p.server, err = server.New(server.Config{
		Transports: []coap.Transport{transport}, Authorise: server.Bound("*"), CoAP: coap.Config{Reliability: quick, Limits: limits}, Times: times,
	})
	if err != nil {
		t.Fatal(err)
	}
	p.events = p.server.Subscribe(1024)
	run(t, p.server.Run)
	account.Short, account.Lifetime, account.SendAllowed = 1, time.Minute, true
	config := client.Config{
		Endpoint: "dev", Accounts: []client.Account{account}, Objects: p.objects(),
		Network: &client.Internet{Reliability: quick, Traffic: &client.Traffic{}}, Store: client.Folder(p.dir),
	}
	if change != nil {
		change(&config)
	}
	if p.client, err = client.New(config); err != nil {
		t.Fatal(err)
	}
	p.stop = run(t, p.client.Run)
	return p
}

func (p *pair) objects() []client.Object {
	p.t.Helper()
	update, err := firmware.New(firmware.Config{Dir: p.dir, Store: client.Folder(p.dir), Updater: &firmware.Hook{
		Trust: parcel.Trust{Keys: []ed25519.PublicKey{signer.Public().(ed25519.PublicKey)}}, Version: "1", Command: []string{"/bin/true"},
	}})
	if err != nil {
		p.t.Fatal(err)
	}
	run(p.t, func(ctx context.Context) error {
		if err := update.Run(ctx); !errors.Is(err, context.Canceled) {
			return err
		}
		return nil
	})
	return []client.Object{
		machine.NewDevice(machine.DeviceConfig{Identity: machine.Identity{Manufacturer: "Acme"}, Root: os.DirFS("/")}),
		machine.NewConnectivity(os.DirFS("/"), p.radio), update, client.NewTable(routes, client.Rules{MaxBytes: 64 << 10}),
	}
}

// run runs something until the test ends or the function it returns is called.
func run(t *testing.T, f func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("ended with %v", err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// patience is how long a test waits for what others bring about, on a machine that has other work.
const patience = time.Minute

// await takes events until one matches.
func (p *pair) await(kind server.EventKind, match func(server.Event) bool) server.Event {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	for {
		e, err := p.events.Next(ctx)
		if err != nil {
			p.t.Fatalf("waiting for %v: %v; seen %v", kind, err, p.seen)
		}
		p.seen = append(p.seen, e.Kind.String())
		if e.Kind == kind && (match == nil || match(e)) {
			return e
		}
	}
}

func path(s string) lwm2m.Path { return lwm2m.MustParsePath(s) }

func one(s string, v lwm2m.Value) lwm2m.Tree { return lwm2m.Tree{{Path: path(s), Value: v}} }

func (p *pair) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// TestWithServer goes through everything that a server can ask of a device, over each transport.
func TestWithServer(t *testing.T) {
	for _, s := range sites {
		t.Run(s.name, func(t *testing.T) {
			if strings.Contains(s.name, "loss") && testing.Short() {
				t.Skip("short: retransmissions take their time")
			}
			t.Parallel() // most of it is waiting
			p := meet(t, s, server.Times{}, nil)
			p.await(server.Registered, nil)
			p.reads(t.Context())
			p.writes(t.Context())
			p.observes(t.Context())
			p.observesMuch(t.Context())
			p.updatesFirmware(t.Context())
			p.moves(t.Context())
			p.stop()
			p.await(server.Deregistered, nil)
		})
	}
}

func (p *pair) reads(ctx context.Context) {
	p.t.Helper()
	got, err := p.server.Read(ctx, "dev", path("/3/0/0"))
	p.must(err)
	if diff := cmp.Diff(got.String(), `/3/0/0 = "Acme"`); diff != "" {
		p.t.Errorf("got -, want +:\n%s", diff)
	}
	got, err = p.server.Read(ctx, "dev", path("/3"))
	p.must(err)
	if v, found := got.Value(path("/3/0/21")); !found || v.Integer() <= 0 {
		p.t.Errorf("memory total: %v of %s", v, got)
	}
	got, err = p.server.ReadComposite(ctx, "dev", path("/4/0/2"), path("/3/0/16"))
	p.must(err)
	if diff := cmp.Diff(got.String(), `/3/0/16 = "U", /4/0/2 = -40`); diff != "" {
		p.t.Errorf("got -, want +:\n%s", diff)
	}
	links, err := p.server.Discover(ctx, "dev", path("/5/0"))
	p.must(err)
	if len(links) < 10 {
		p.t.Errorf("discover: %s", links)
	}
	if _, err := p.server.Read(ctx, "dev", path("/0/0")); err == nil {
		p.t.Error("the server reads keys")
	}
}

func (p *pair) writes(ctx context.Context) {
	p.t.Helper()
	long := strings.Repeat("long ", 4000)
	made, err := p.server.Create(ctx, "dev", path("/35001"), one("/35001/4/27200", lwm2m.String("local://1/t")))
	p.must(err)
	if made != path("/35001/4") {
		p.t.Errorf("created %s", made)
	}
	p.await(server.Updated, nil)
	p.must(p.server.Write(ctx, "dev", path("/35001/4/27201"), one("/35001/4/27201", lwm2m.String(long[:12_000]))))
	got, err := p.server.Read(ctx, "dev", path("/35001/4/27201"))
	p.must(err)
	if v, _ := got.Value(path("/35001/4/27201")); v.Text() != long[:12_000] {
		p.t.Errorf("%d bytes of what was written in blocks came back in blocks", len(v.Text()))
	}
	p.must(p.server.WriteComposite(ctx, "dev", append(one("/3/0/15", lwm2m.String("Europe/Athens")), one("/35001/4/27201", lwm2m.String("x"))...)))
	made, err = p.server.Create(ctx, "dev", path("/35001"), lwm2m.Tree{{Path: lwm2m.PathOf(35001, lwm2m.NoID, 27200), Value: lwm2m.String("x")}})
	p.must(err)
	if made != path("/35001/0") {
		p.t.Errorf("the device chose %s", made)
	}
	p.await(server.Updated, nil)
	p.must(p.server.Delete(ctx, "dev", path("/35001/4")))
	p.await(server.Updated, nil)
	p.must(p.client.SendPaths(ctx, path("/4/0/2")))
	if e := p.await(server.Sent, nil); e.Tree.String() != "/4/0/2 = -40" {
		p.t.Errorf("sent %s", e.Tree)
	}
}

func (p *pair) observes(ctx context.Context) {
	p.t.Helper()
	p.must(p.server.WriteAttributes(ctx, "dev", path("/4/0/2"), lwm2m.Attributes{Has: lwm2m.ST, ST: 5}))
	id, first, err := p.server.Observe(ctx, "dev", path("/4/0/2"))
	p.must(err)
	if first.String() != "/4/0/2 = -40" {
		p.t.Errorf("first %s", first)
	}
	p.radio.SetTransmitPower(-3) // less than the step
	p.radio.SetTransmitPower(-10)
	e := p.await(server.Notified, func(e server.Event) bool { return e.Observation == id })
	if e.Tree.String() != "/4/0/2 = -50" {
		p.t.Errorf("notified %s", e.Tree)
	}
	p.must(p.server.Cancel(ctx, "dev", id))
	if n := p.client.Standings()[0].Observations; n != 0 {
		p.t.Errorf("%d observations after the end", n)
	}
}

// observesMuch observes what does not fit a message.
func (p *pair) observesMuch(ctx context.Context) {
	p.t.Helper()
	_, err := p.server.Create(ctx, "dev", path("/35001"), one("/35001/7/27200", lwm2m.String("short")))
	p.must(err)
	id, _, err := p.server.Observe(ctx, "dev", path("/35001/7"))
	p.must(err)
	long := lwm2m.String(strings.Repeat("longer ", 1000))
	p.must(p.server.Write(ctx, "dev", path("/35001/7/27200"), one("/35001/7/27200", long)))
	p.await(server.Notified, func(e server.Event) bool {
		v, _ := e.Tree.Value(path("/35001/7/27200"))
		return e.Observation == id && v == long
	})
	p.must(p.server.Cancel(ctx, "dev", id))
	p.must(p.server.Delete(ctx, "dev", path("/35001/7")))
}

// image is firmware that the device takes.
func (p *pair) image(size int) []byte {
	p.t.Helper()
	body := bytes.Repeat([]byte{0xf1}, size)
	seal, err := parcel.Seal(parcel.Statement{
		Name: "board", Version: "2", Kind: firmware.Kind, Digest: sha256.Sum256(body), Length: uint64(size), Counter: 1, Devices: "*",
	}, signer)
	p.must(err)
	image, err := parcel.Pack(seal, body)
	p.must(err)
	return image
}

func (p *pair) updatesFirmware(ctx context.Context) {
	p.t.Helper()
	image := p.image(40_000)
	_, _, err := p.server.Observe(ctx, "dev", path("/5/0/3"))
	p.must(err)
	p.must(p.server.Replace(ctx, "dev", path("/5/0/0"), one("/5/0/0", lwm2m.Opaque(image))))
	p.await(server.Notified, func(e server.Event) bool { return e.Tree.String() == "/5/0/3 = 2" })
	p.must(p.server.Execute(ctx, "dev", path("/5/0/2"), ""))
	p.await(server.Notified, func(e server.Event) bool { return e.Tree.String() == "/5/0/3 = 0" })
	got, err := p.server.ReadComposite(ctx, "dev", path("/5/0/5"), path("/5/0/7"))
	p.must(err)
	if diff := cmp.Diff(got.String(), `/5/0/5 = 1, /5/0/7 = "2"`); diff != "" {
		p.t.Errorf("got -, want +:\n%s", diff)
	}
}

// moves gives the device another address in the middle of an observation.
func (p *pair) moves(ctx context.Context) {
	p.t.Helper()
	id, _, err := p.server.Observe(ctx, "dev", path("/4/0/2"))
	p.must(err)
	before, _ := p.server.Device("dev")
	p.client.AddressChanged()
	p.await(server.Updated, func(server.Event) bool {
		now, _ := p.server.Device("dev")
		return now.Peer != before.Peer
	})
	p.radio.SetTransmitPower(-30)
	e := p.await(server.Notified, func(e server.Event) bool { return e.Observation == id })
	if e.Tree.String() != "/4/0/2 = -70" {
		p.t.Errorf("notified %s", e.Tree)
	}
	p.must(p.server.Write(ctx, "dev", path("/3/0/15"), one("/3/0/15", lwm2m.String("UTC"))))
}

// deserted is a transport to a place that nobody is at any more once so many messages went there: the device has got another address, and does
// not know it yet.
type deserted struct {
	coap.Transport
	messages int
	left     chan struct{} // closed then

	mu   sync.Mutex
	sent map[coap.Peer]int
	old  coap.Peer
	gone bool
}

func (d *deserted) Send(p coap.Peer, m []byte) error {
	d.mu.Lock()
	if d.sent[p]++; d.sent[p] == d.messages && !d.gone {
		d.old, d.gone = p, true
		close(d.left)
	}
	nobody := d.gone && p == d.old
	d.mu.Unlock()
	if nobody {
		return nil
	}
	return d.Transport.Send(p, m)
}

// TestMoveInTheMiddleOfATransfer gives the device another address while an image comes in: the transfer ends or goes on, nothing is half
// installed, and the next attempt takes it all.
func TestMoveInTheMiddleOfATransfer(t *testing.T) {
	place := &deserted{messages: 60, left: make(chan struct{}), sent: map[coap.Peer]int{}}
	p := meet(t, site{"UDP that moves", func(t *testing.T) (_ coap.Transport, account client.Account) {
		place.Transport, account = plainUDP(t)
		return place, account
	}}, server.Times{}, nil)
	p.await(server.Registered, nil)
	image := p.image(200_000)
	push := func() error {
		return p.server.Replace(t.Context(), "dev", path("/5/0/0"), one("/5/0/0", lwm2m.Opaque(image)))
	}
	pushed := make(chan error, 1)
	go func() { pushed <- push() }()
	<-place.left
	p.client.AddressChanged()
	p.await(server.Updated, nil)
	first := <-pushed
	state, err := p.server.Read(t.Context(), "dev", path("/5/0/3"))
	p.must(err)
	if want := map[bool]string{true: "/5/0/3 = 2", false: "/5/0/3 = 1"}[first == nil]; state.String() != want {
		t.Errorf("after a transfer that ended with %v: %s, want %s", first, state, want)
	}
	if first != nil {
		p.must(push())
	}
	got, err := p.server.Read(t.Context(), "dev", path("/5/0/3"))
	p.must(err)
	if got.String() != "/5/0/3 = 2" {
		t.Errorf("in the end %s", got)
	}
}

// TestSleepingDevice lets a device in queue mode sleep, and what is asked of it meanwhile wait for it.
func TestSleepingDevice(t *testing.T) {
	t.Parallel()                  // most of it is waiting
	const awake = 2 * time.Second // what is asked of a device that wakes has to arrive within it
	p := meet(t, sites[0], server.Times{Awake: awake}, func(c *client.Config) { c.QueueMode, c.Awake = true, awake })
	p.await(server.Asleep, nil)
	id, err := p.server.Enqueue(t.Context(), "dev", server.Request{Operation: server.OpRead, Path: path("/3/0/0")}, server.Hold{})
	p.must(err)
	p.must(p.client.SendPaths(t.Context(), path("/4/0/2"))) // for which it wakes
	p.await(server.Awake, nil)                              // and not before
	e := p.await(server.Answered, func(e server.Event) bool { return e.Request == id })
	if e.Err != nil || e.Tree.String() != `/3/0/0 = "Acme"` {
		t.Errorf("%s, %v", e.Tree, e.Err)
	}
	observation, _, err := p.server.Observe(t.Context(), "dev", path("/4/0/2"))
	p.must(err)
	p.await(server.Asleep, nil)
	p.radio.SetTransmitPower(-7) // the device wakes for what it has to say
	p.await(server.Notified, func(e server.Event) bool { return e.Observation == observation && e.Tree.String() == "/4/0/2 = -47" })
}

func TestDeviceComesBackAfterItsPowerIsGone(t *testing.T) {
	transport, account := plainUDP(t)
	account.Short, account.Lifetime = 1, time.Minute
	s, err := server.New(server.Config{Transports: []coap.Transport{transport}, Authorise: server.Bound("*"), CoAP: coap.Config{Reliability: quick}})
	if err != nil {
		t.Fatal(err)
	}
	run(t, s.Run)
	p := &pair{t: t, server: s, events: s.Subscribe(64), radio: &machine.SimulatedRadio{}, dir: t.TempDir()}
	for life := range 2 {
		p.client, err = client.New(client.Config{
			Endpoint: "dev", Accounts: []client.Account{account}, Objects: p.objects(), Network: &client.Internet{Reliability: quick},
			Store: client.Folder(p.dir), Stay: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		stop := run(t, p.client.Run)
		p.await(server.Registered, nil)
		if life == 0 {
			p.must(s.Replace(t.Context(), "dev", path("/1/0/1"), one("/1/0/1", lwm2m.Integer(77))))
		} else if got, err := s.Read(t.Context(), "dev", path("/1/0/1")); err != nil || got.String() != "/1/0/1 = 77" {
			t.Errorf("the lifetime after the restart: %s, %v", got, err)
		}
		stop()
	}
	if _, err := os.Stat(filepath.Join(p.dir, "accounts")); err != nil {
		t.Error(err)
	}
}
