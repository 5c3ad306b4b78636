package server

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/store"
)

// stage is a server with a store, that can be restarted.
type stage struct {
	*rig
	dir    string
	store  *store.Store
	config Config
}

func staged(t testing.TB, dir string, config Config) *stage {
	s := &stage{dir: dir, config: config}
	s.open(t)
	return s
}

func (s *stage) open(t testing.TB) {
	s.store = openStore(t, s.dir)
	s.config.Store = s.store
	s.rig = start(t, s.config)
}

// restart ends the server and begins another one, with the devices where they were.
func (s *stage) restart(devices ...*script) {
	s.close()
	s.open(s.t)
	for _, d := range devices {
		d.wire = s.plain
		if d.peer.Transport == "secure" {
			d.wire = s.secure
		}
		d.back()
	}
}

func (s *stage) close() {
	s.stop()
	must(s.t, s.store.Close())
}

// onStage runs a test with a server that can be restarted.
func onStage(t *testing.T, config Config, f func(s *stage)) {
	dir := t.TempDir()
	bubble(t, Config{}, func(r *rig) {
		r.stop()
		s := staged(r.t, dir, config)
		f(s)
		s.close()
	})
}

func TestRestart(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		plain := s.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1&lt=3600&sms=49&b=UT")
		s.expect("registered dev", "introduced dev")
		secure := s.secured("safe", 7).registered("safe", "&lwm2m=1.2&Q&lt=7200")
		s.expect("registered safe", "awake safe", "introduced safe")
		id, token := s.observing(plain)
		write := begin(func() (struct{}, error) {
			return struct{}{}, s.server.WriteAttributes(s.t.Context(), "dev", at("/3/0/9"), lwm2m.Attributes{Has: lwm2m.PMin | lwm2m.ST, PMin: 1, ST: 0.5})
		})
		plain.reply(plain.asked("PUT /3/0/9?pmin=1&st=0.5"), "2.04", "")
		_, err := write.wait()
		must(s.t, err)
		before := map[string]Registration{}
		for r := range s.server.Devices() {
			before[r.Endpoint] = r
		}
		time.Sleep(50 * time.Minute)
		s.restart(plain, secure)

		after := map[string]Registration{}
		for r := range s.server.Devices() {
			after[r.Endpoint] = r
		}
		ignored := cmp.Options{cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }), cmpopts.IgnoreFields(Registration{}, "Seen", "State", "links"), cmp.Comparer(func(a, b lwm2m.Path) bool { return a == b })}
		if diff := cmp.Diff(before, after, ignored); diff != "" || len(after) != 2 {
			t.Errorf("devices (-before +after):\n%s", diff)
		}
		if after["safe"].State != Sleeping || after["dev"].State != Reachable {
			t.Errorf("they are %s and %s", after["safe"].State, after["dev"].State)
		}
		plain.silent() // nobody registers again, nobody is asked
		if got := plain.notify(token, 11, "81"); got != "ACK" {
			t.Errorf("a notification is answered %s", got)
		}
		if e := s.expect("notified dev /3/0/9 = 81")[0]; e.Observation != id {
			t.Errorf("event %+v", e)
		}
		if got := plain.notify("12345678", 11, "81"); got != "RST" {
			t.Errorf("an unknown notification is answered %s", got)
		}
		if all, _ := s.server.WantedAttributes("dev"); all[at("/3/0/9")].String() != "pmin=1&st=0.5" {
			t.Errorf("attributes %v", all)
		}
		time.Sleep(55 * time.Minute) // a whole lifetime since the restart
		if got := plain.update(""); got.answer() != "2.04" {
			t.Errorf("an update is answered %s", got.answer())
		}
		if got := secure.update(""); got.answer() != "2.04" {
			t.Errorf("an update is answered %s", got.answer())
		}
		s.expect("updated dev", "updated safe", "awake safe")
	})
}

func TestRestartForgetsWhatEnded(t *testing.T) {
	onStage(t, Config{Times: Times{Grace: time.Second}}, func(s *stage) {
		ends := map[string]func(d *script){
			"by itself":  func(d *script) { d.call(del, d.where, "") },
			"by removal": func(d *script) { must(t, s.server.Remove("by removal")) },
			"by time":    func(*script) { time.Sleep(400 * time.Second) },
		}
		n := 0
		for name, end := range ends {
			n++
			d := s.device(fmt.Sprint("10.0.0.1:", 1000+n)).registered(name, "&lwm2m=1.1&lt=300&Q")
			time.Sleep(100 * time.Second)
			must(t, errorOnly(s.server.Enqueue(s.t.Context(), name, Request{Operation: OpRead, Path: at("/3/0")}, Hold{Durable: true})))
			if s.store.Len(store.Queued) == 0 || s.store.Len(store.Registration) == 0 {
				t.Error("nothing is stored")
			}
			end(d)
		}
		for k := range store.Settings {
			if left := s.store.Len(k); left != 0 {
				t.Errorf("%d records of kind %d are left", left, k)
			}
		}
		s.restart()
		if s.server.Len() != 0 {
			t.Errorf("%d devices", s.server.Len())
		}
	})
}

func TestDurableQueue(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		d := s.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1&Q&lt=86400")
		s.expect("registered dev", "awake dev", "introduced dev", "asleep dev")
		everything := lwm2m.Tree{
			{Path: at("/9/0/0"), Value: lwm2m.String("text")}, {Path: at("/9/0/1"), Value: lwm2m.Integer(-5)}, {Path: at("/9/0/2"), Value: lwm2m.Opaque([]byte{0, 255})},
			{Path: at("/9/0/3"), Value: lwm2m.Float(1.5)}, {Path: at("/9/0/4"), Value: lwm2m.Boolean(true)}, {Path: at("/9/0/5"), Value: lwm2m.TimeSeconds(1700000000)},
			{Path: at("/9/0/6"), Value: lwm2m.ObjectLink(9, 1)}, {Path: at("/9/0/7"), Value: lwm2m.Unsigned(1 << 63)}, {Path: at("/9/0/8"), Value: lwm2m.CoreLink("</3>")},
			{Path: at("/9/0/9/1"), Value: lwm2m.String("x"), Time: time.Unix(1700000000, 500_000_000).UTC()},
		}
		requests := []Request{
			{Operation: OpReplace, Path: at("/9/0"), Tree: everything},
			{Operation: OpExecute, Path: at("/9/0/4"), Arguments: "0='x'"},
			{Operation: OpDiscover, Path: at("/9"), Depth: 2},
			{Operation: OpReadComposite, Paths: []lwm2m.Path{at("/3/0/0"), at("/4")}},
			{Operation: OpWriteAttributes, Path: at("/3/0/9"), Attributes: lwm2m.Attributes{Has: lwm2m.GT, GT: 1.25, Unset: lwm2m.PMin}},
		}
		var ids []RequestID
		for _, r := range requests {
			id, err := s.server.Enqueue(s.t.Context(), "dev", r, Hold{Durable: true, For: 10 * time.Hour})
			must(t, err)
			ids = append(ids, id)
		}
		must(t, errorOnly(s.server.Enqueue(s.t.Context(), "dev", Request{Operation: OpRead, Path: at("/3")}, Hold{})))
		time.Sleep(time.Hour)
		s.restart(d)
		waiting, err := s.server.Queued("dev")
		must(t, err)
		if len(waiting) != len(requests) { // what was not durable is gone
			t.Fatalf("%d wait", len(waiting))
		}
		exported := cmp.Options{cmp.Comparer(func(a, b lwm2m.Path) bool { return a == b }), cmp.Comparer(func(a, b lwm2m.Value) bool { return a == b })}
		for i, w := range waiting {
			if diff := cmp.Diff(requests[i], w.Request, exported); diff != "" || w.ID != ids[i] || time.Until(w.Deadline).Round(time.Minute) != 9*time.Hour {
				t.Errorf("request %d until %v (-want +got):\n%s", i, w.Deadline, diff)
			}
		}
		d.update("")
		d.reply(d.asked("PUT /9/0 format=112"), "2.04", "")
		d.reply(d.asked("POST /9/0/4 format=0"), "2.04", "")
		d.reply(d.asked("GET /9 accept=40"), "2.05", "</9>", uintField(optFormat, 40))
		s.expect("updated dev", "awake dev", "answered dev", "answered dev", "answered dev")
		d.askedNext() // and does not answer that one
		must(t, s.store.Flush())
		s.restart(d) // in the middle of it
		d.end = make(chan []byte, 64)
		d.back()
		d.update("")
		asked := d.asked("FETCH / format=112 accept=112")
		d.reply(asked, "2.05", "[]", uintField(optFormat, 110))
		d.reply(d.asked("PUT /3/0/9?pmin&gt=1.25"), "2.04", "")
		s.expect("updated dev", "awake dev", "answered dev", "answered dev")
		if n := s.store.Len(store.Queued); n != 0 {
			t.Errorf("%d requests are stored still", n)
		}
	})
}

// What is under way when a transport fails is not done, and is there after the restart.
func TestDurableQueueOutlivesAFailure(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		d := s.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1&Q&lt=86400")
		s.expect("registered dev", "awake dev", "introduced dev")
		for _, operation := range []Operation{OpExecute, OpRead} {
			must(t, errorOnly(s.server.Enqueue(s.t.Context(), "dev", Request{Operation: operation, Path: at("/3/0/4")}, Hold{Durable: true})))
		}
		d.asked("POST /3/0/4")
		close(s.secure.broken)
		<-s.done
		s.restart(d)
		if waiting, err := s.server.Queued("dev"); err != nil || len(waiting) != 2 {
			t.Errorf("%d wait, %v", len(waiting), err)
		}
	})
}

// What was to be done by a time that went by while the server was away is told as overdue, and not done.
func TestOverdueAfterRestart(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		d := s.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1&Q&lt=86400")
		s.expect("registered dev", "awake dev", "introduced dev", "asleep dev")
		id, err := s.server.Enqueue(s.t.Context(), "dev", Request{Operation: OpRead, Path: at("/3")}, Hold{Durable: true, For: time.Minute})
		must(t, err)
		s.close()
		time.Sleep(time.Hour)
		s.open(s.t)
		d.wire = s.plain
		d.back()
		if e := s.expect("answered dev")[0]; e.Request != id || errorCode(e.Err) != "lwm2m-server.asleep" {
			t.Errorf("event %+v", e)
		}
		d.update("")
		d.silent()
		if n := s.store.Len(store.Queued); n != 0 {
			t.Errorf("%d requests are stored still", n)
		}
	})
}

func TestDurableQueueIsBounded(t *testing.T) {
	onStage(t, Config{Limits: Limits{QueueBytes: 1000}}, func(s *stage) {
		s.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1&Q&lt=86400")
		s.expect("registered dev", "awake dev", "introduced dev", "asleep dev")
		big := Request{Operation: OpReplace, Path: at("/9/0/2"), Tree: tree("/9/0/2", lwm2m.OpaqueString(string(make([]byte, 600))))}
		must(t, errorOnly(s.server.Enqueue(s.t.Context(), "dev", big, Hold{Durable: true})))
		_, err := s.server.Enqueue(s.t.Context(), "dev", big, Hold{Durable: true})
		if careful(t, err); errorCode(err) != "lwm2m-server.queue-full" {
			t.Errorf("got %v", err)
		}
	})
}

// A store that holds anything at all is no reason not to start.
func TestDamagedRecords(t *testing.T) {
	dir := t.TempDir()
	st := openStore(t, dir)
	for k := range store.Settings {
		for n := range 100 {
			value := make([]byte, rand.IntN(80))
			for i := range value {
				value[i] = byte(rand.IntN(4))
			}
			if n%2 == 0 && len(value) > 0 {
				value[0] = storedVersion
			}
			must(t, errorOnly(st.Put(k, fmt.Sprint("dev", n), value)))
		}
	}
	must(t, st.Close())
	bubble(t, Config{}, func(r *rig) {
		r.stop()
		s := staged(r.t, dir, Config{})
		defer s.close()
		if s.server.Len() > 100 {
			t.Errorf("%d devices", s.server.Len())
		}
		s.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1")
	})
}

func TestStoreThatTakesNothing(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		must(t, s.store.Close())
		d := s.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1")
		s.expect("registered dev", "introduced dev")
		if got := d.update("?lt=30"); got.answer() != "2.04" {
			t.Errorf("update answers %s", got.answer())
		}
		s.stop()
		s.open(s.t)
	})
}

func FuzzStored(f *testing.F) {
	d := &device{endpoint: "dev", links: &linkSet{document: "</3/0>"}, lifetime: 60, binding: "U"}
	f.Add(d.encode())
	f.Add(encodeObservations([]*observation{{token: 1, path: at("/3/0/9")}, {token: 2, paths: []lwm2m.Path{at("/3")}}}))
	f.Add(encodeAttributes([]wantedAttributes{{at("/3"), lwm2m.Attributes{Has: lwm2m.PMin, PMin: 5}}}))
	f.Add((&job{request: &Request{Operation: OpReplace, Path: at("/3/0/1"), Tree: tree("/3/0/1", lwm2m.String("x"))}}).encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		d := &device{endpoint: "dev"}
		if links, err := d.decodeRegistration(b); err == nil {
			d.links = &linkSet{document: string(links)}
			again := &device{endpoint: "dev"}
			if _, err := again.decodeRegistration(d.encode()); err != nil || again.peer != d.peer || again.id != d.id {
				t.Errorf("%v after a round trip", err)
			}
		}
		if all, err := decodeObservations(b); err == nil {
			if again, err := decodeObservations(encodeObservations(all)); err != nil || len(again) != len(all) {
				t.Errorf("%v after a round trip", err)
			}
		}
		if all, err := decodeAttributes(b); err == nil {
			if _, err := decodeAttributes(encodeAttributes(all)); err != nil {
				t.Errorf("%v after a round trip", err)
			}
		}
		if j, err := decodeJob(b); err == nil {
			if _, err := decodeJob(j.encode()); err != nil {
				t.Errorf("%v after a round trip", err)
			}
		}
	})
}

func FuzzRegister(f *testing.F) {
	for _, q := range []string{"ep=a&lwm2m=1.1&lt=60&b=U&Q", "ep=\x00&lwm2m=1.0", "lt=9999999999999999999999", "ep=a&lwm2m=1.1&sms=%s"} {
		f.Add(q, links)
	}
	f.Add("ep=a&lwm2m=1.2", `</a/b>;rt="oma.lwm2m";ct="60 110 112 11542 99999",</a/b/3/0>,</a/b/65535>,</a/b/3/0/1>`)
	f.Fuzz(func(t *testing.T, query, document string) {
		w := newWire("udp")
		s, err := New(Config{Transports: asTransports(w), Authorise: Bound("*")})
		must(t, err)
		id, err := s.register(peerAt("10.0.0.1:5683"), fuzzMessage(query, document))
		if (err == nil) != (s.Len() == 1) || (err == nil) != (id != 0) {
			t.Errorf("%d devices, number %d, %v", s.Len(), id, err)
		}
		if err != nil && CodeOf(err).Class() != 4 {
			t.Errorf("%v", err)
		}
		for r := range s.Devices() {
			if r.Endpoint == "" || len(r.Endpoint) > 128 || len(r.Instances) > 1024 || r.Lifetime <= 0 {
				t.Errorf("known is %+v", r)
			}
			_, _ = r.Links(), r.Has(at("/3/0"))
		}
	})
}

// TestGoneDeviceStoresNothing: what a request to a device that is gone still has to say does not touch what is stored of the
// next one of its name.
func TestGoneDeviceStoresNothing(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		device := s.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1")
		s.expect("registered dev", "introduced dev")
		old := s.server.byEndpoint.get("dev")
		must(s.t, s.server.Remove("dev"))
		s.expect("removed dev")
		device.registered("dev", "&lwm2m=1.1")
		s.expect("registered dev", "introduced dev")
		s.observing(device)
		old.mu.Lock()
		s.server.saveRegistration(old)
		s.server.saveObservations(old)
		old.mu.Unlock()
		if got := s.store.Len(store.Observation); got != 1 {
			t.Errorf("%d observations are stored, want 1", got)
		}
		want, _ := s.server.Device("dev")
		s.restart(device)
		if got, _ := s.server.Device("dev"); got.ID != want.ID {
			t.Errorf("registration %x after a restart, want %x", got.ID, want.ID)
		}
	})
}
