package server

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/edgehold/edgehold/agents/state/crashtest"
	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
	"github.com/edgehold/edgehold/lwm2m/store"
)

func TestMain(m *testing.M) { crashtest.Main(m, crashChild) }

// crashChild is a gateway that devices register with and are observed by for ever, and that says what must survive.
func crashChild(dir string) {
	check := func(err error) {
		if err != nil {
			fmt.Println("fatal", err)
			os.Exit(1)
		}
	}
	st, report, err := store.Open(dir, store.Options{SegmentBytes: 256 << 10})
	check(err)
	if len(report.Damaged) > 0 {
		fmt.Println("fatal damaged", report.Damaged)
		os.Exit(1)
	}
	c := &crowd{ready: make(chan struct{}), answers: make(chan struct{}, 64)}
	config := Config{Transports: []coap.Transport{c}, Authorise: Bound("*"), Store: st}
	config.CoAP.Limits = coap.Limits{PeerRate: -1, AddressRate: -1, Amplification: -1}
	s, err := New(config)
	check(err)
	go func() { check(st.Run(context.Background())) }()
	go func() { check(s.Run(context.Background())) }()
	<-c.ready
	for n := s.Len(); ; n++ {
		c.receiver.Receive(crowdPeer(n), registration(n))
		<-c.answers
		endpoint := fmt.Sprintf("urn:dev:ops:32473-%08d", n)
		id, _, err := s.Observe(context.Background(), endpoint, lwm2m.PathOf(3, 0, 9))
		check(err)
		request, err := s.Enqueue(context.Background(), endpoint, Request{Operation: OpRead, Path: lwm2m.PathOf(3)}, Hold{})
		check(err)
		_ = request
		if n%10 == 0 {
			check(st.Flush())
			known, _ := s.Device(endpoint)
			fmt.Println("durable", endpoint, known.ID, uint64(id))
		}
	}
}

func TestKillForgetsNobody(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs SIGKILL")
	}
	dir := t.TempDir()
	type fact struct {
		id          string
		observation ObservationID
	}
	facts := map[string]fact{}
	for n := 0; n < 4 || len(facts) < 20; n++ { // however slow the machine
		crashtest.KillOnce(t, dir, func(line string) {
			f := strings.Fields(line)
			if f[0] == "fatal" {
				t.Fatal(line)
			}
			var observation uint64
			if _, err := fmt.Sscan(f[3], &observation); err != nil {
				t.Fatal(err)
			}
			facts[f[1]] = fact{f[2], ObservationID(observation)}
		})
		st := openStore(t, dir)
		s, err := New(Config{Transports: []coap.Transport{newWire("udp")}, Store: st})
		must(t, err)
		for endpoint, f := range facts {
			known, ok := s.Device(endpoint)
			all, _ := s.Observations(endpoint)
			if !ok || known.ID != f.id || len(all) != 1 || all[0].ID != f.observation || all[0].Path != at("/3/0/9") {
				t.Errorf("%s was durable with %+v; known is %+v, observed %+v", endpoint, f, known, all)
			}
		}
		must(t, st.Close())
	}
}
