//go:build linux

package faredge

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// board is a device of ours, which can lose its power.
type board struct {
	*site
	name string
	args []string
	*process
}

// board starts a device that speaks to the gateway through via.
func (s *site) board(name, uri string) *board {
	s.Helper()
	b := &board{site: s, name: name, args: []string{"run", "--endpoint", name, "--server", uri, "--state-dir", s.path(name), "--listen", "127.0.0.1:0",
		"--simulate", "--sample", "1s", "--lifetime", "30s", "--trust-key", s.path("signer.pub")}}
	if strings.HasPrefix(uri, "coaps:") {
		b.args = append(b.args, "--psk-key-file", s.path("psk"))
	}
	b.power()
	return b
}

func (b *board) power() {
	b.Helper()
	b.process = launch(b.T, b.dir, program(b.T, "edgehold-device"), b.args...)
}

// workload is what `edgehold device workloads -o json` says of one.
type workload struct {
	Label  int    `json:"label"`
	Name   string `json:"name"`
	State  string `json:"state"`
	Active bool   `json:"active"`
	Uptime int64  `json:"uptimeMs"`
}

func (b *board) workloads() (all []workload, err error) {
	b.Helper()
	out, err := b.try("workloads", b.name, "-o", "json")
	if err != nil {
		return nil, err
	}
	var list struct {
		Items []workload `json:"items"`
	}
	err = json.Unmarshal([]byte(out), &list)
	return list.Items, err
}

// runs checks that one workload is there and runs, and gives how long it does.
func (b *board) runs() (uptime time.Duration) {
	b.Helper()
	all, err := b.workloads()
	if err != nil || len(all) != 1 || !all[0].Active {
		b.Errorf("on %s are %+v, %v", b.name, all, err)
		return 0
	}
	return time.Duration(all[0].Uptime) * time.Millisecond
}

// clean takes off whatever is there, and checks that nothing of it is left: no instance, no package, no part of one.
func (b *board) clean() {
	b.Helper()
	var all []workload
	eventually(b.T, b.name+" says what it has", func() (ok bool) {
		var err error
		all, err = b.workloads()
		return err == nil
	})
	for _, w := range all {
		b.device(fmt.Sprintf("remove %s %d", b.name, w.Label))
	}
	must(b.T, filepath.WalkDir(b.path(b.name), func(file string, _ os.DirEntry, err error) error {
		if strings.HasSuffix(file, ".parcel") || strings.HasSuffix(file, ".part") {
			b.Errorf("%s is left of %+v", file, all)
		}
		return err
	}))
}

// known waits until these devices are listed, and gives their registrations.
func (s *site) known(boards ...*board) (all map[string]uint64) {
	s.Helper()
	s.await(func(known map[string]uint64) bool {
		all = known
		for _, b := range boards {
			if known[b.name] == 0 {
				return false
			}
		}
		return len(known) == len(boards)
	})
	return all
}

// neighbour is a device with a workload that nothing happens to. What it returns checks that nothing did.
func (s *site) neighbour() (b *board, undisturbed func()) {
	s.Helper()
	b = s.board("sensor-9", "coap://"+s.plain)
	s.known(b)
	s.device("push sensor-9 small")
	epoch := s.registered()[b.name]
	before := b.runs()
	since := time.Now()
	return b, func() {
		s.Helper()
		if now := s.registered()[b.name]; now != epoch {
			s.Errorf("%s has registered again", b.name)
		}
		passed := time.Since(since) // between the two answers, which take their time, it ran for longer
		if ran := b.runs() - before; ran < passed-3*time.Second {
			s.Errorf("its workload ran %v of %v", ran, passed)
		}
	}
}

// field is a site with packages to push, and a relay before its secured address.
func field(t *testing.T) (s *site, r *relay) {
	t.Helper()
	small, large := average(t, 0), average(t, 60_000)
	s = newSite(t, []string{"one", "two"}, "packages: {keys: [signer.pub]}")
	s.write("small", string(small))
	s.write("large", string(large))
	return s, newRelay(t, s.secure)
}

// under starts a push and calls meanwhile in the middle of its transfer. It returns what became of the push.
func (b *board) under(r *relay, timeout string, meanwhile func()) (failure error) {
	b.Helper()
	begun, done := r.passed.Load(), make(chan error, 1)
	go func() {
		_, err := b.try("push", b.name, "large", "--timeout", timeout)
		done <- err
	}()
	eventually(b.T, "the package is on its way", func() bool { return r.passed.Load() > begun+50 || len(done) > 0 }) // 120 packets both ways
	meanwhile()
	return <-done
}

// TestDevicesMove has two devices change their addresses in the middle of a transfer, twice. Their connection ids carry them over: nobody
// registers again, and the packages come whole.
func TestDevicesMove(t *testing.T) {
	t.Parallel()
	s, r := field(t)
	third, undisturbed := s.neighbour()
	one, two := s.board("one", "coaps://"+r.address()), s.board("two", "coaps://"+r.address())
	before := s.known(one, two, third)
	other := make(chan error, 1)
	go func() {
		_, err := s.try("push", "two", "large")
		other <- err
	}()
	if err := one.under(r, patience.String(), r.rebind); err != nil {
		t.Error(err)
	}
	if err := <-other; err != nil {
		t.Error(err)
	}
	r.rebind()
	s.device("read one Temperature/0/Sensor_Value")
	s.device("read two Temperature/0/Sensor_Value")
	one.runs()
	two.runs()
	if after := s.known(one, two, third); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("registered are %v, before %v", after, before)
	}
	undisturbed()
}

// TestLossyNetwork pushes while a fifth of all packets is lost.
func TestLossyNetwork(t *testing.T) {
	t.Parallel()
	s, r := field(t)
	one := s.board("one", "coaps://"+r.address())
	s.known(one)
	r.loss.Store(20)
	out, err := s.run(program(t, "edgehold"), "device", "--broker", s.broker(), "push", "one", "small")
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	r.loss.Store(0)
	one.runs()
}

// TestGatewayIsKilled kills it while a device registers, while it transfers and while it is observed.
func TestGatewayIsKilled(t *testing.T) {
	t.Parallel()
	s, r := field(t)
	third, undisturbed := s.neighbour()
	settled()
	begun := r.passed.Load()
	one := s.board("one", "coaps://"+r.address())
	eventually(t, "it registers", func() bool { return r.passed.Load() > begun+3 })
	s.restart()
	s.known(one, third) // with its next update if the log had not been flushed
	for range 2 {
		settled()
		err := one.under(r, "8s", s.restart)
		s.known(one, third)
		t.Logf("the push under which the gateway was killed: %v", err) // a request that it had taken nobody answers any more
		one.clean()
		s.device("push one large")
		one.runs()
		one.clean()
	}
	undisturbed()
}

// TestDeviceLosesItsPower kills a device at any moment while packages come and go.
func TestDeviceLosesItsPower(t *testing.T) {
	t.Parallel()
	s, r := field(t)
	third, undisturbed := s.neighbour()
	one := s.board("one", "coaps://"+r.address())
	s.known(one, third)
	ended, end := make(chan int), time.Now().Add(20*time.Second)
	go func() {
		pushed := 0
		for ; time.Now().Before(end); pushed++ {
			_, _ = s.try("push", "one", "small", "--replace", "--timeout", "3s")
			if pushed%2 == 1 {
				_, _ = s.try("remove", "one", "temp-average", "--timeout", "3s")
			}
		}
		ended <- pushed
	}()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	dice, kills := rand.New(rand.NewPCG(seed, 0)), 0
	for ; time.Now().Before(end); kills++ {
		time.Sleep(time.Duration(200+dice.IntN(1500)) * time.Millisecond)
		one.kill()
		one.power()
	}
	t.Logf("%d pushes, %d kills", <-ended, kills)
	s.known(one, third)
	one.clean()
	s.device("push one small")
	one.runs()
	undisturbed()
}
