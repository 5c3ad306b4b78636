package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/edgehold/edgehold/agents/api"
)

func (s *stage) lookAround() error {
	title("A daemon runs. It knows one mechanism here: the CPU's frequency.")
	return s.edgehold("mechanism", "list")
}

func (s *stage) upload() error {
	title("A policy is a sandboxed WebAssembly module. We upload one while the daemon runs.")
	module, err := s.build("01-cpu-boost")
	if err != nil {
		return err
	}
	before, began := s.limit(), time.Now() // a busy machine has it changed before the upload is answered
	if err := s.edgehold("policy", "upload", module, "--set", "calm=1", "--set", "high=0.7"); err != nil {
		return err
	}
	acts := func() bool { return s.limit() != before || time.Since(began) > restless && s.restless() }
	if err := s.await("the policy acts", acts); err != nil {
		return err
	}
	switch {
	case s.limit() == before:
		say("This machine is neither calm nor busy, so the policy leaves the limit of CPU 0 at " + before + ".")
	case s.boosted():
		say(fmt.Sprintf("This machine is busy already, so the limit of CPU 0 went up at once, from %s to %s.", before, s.limit()))
	default:
		say(fmt.Sprintf("The node is calm, so the policy saves energy: the limit of CPU 0 went from %s to %s.", before, s.limit()))
	}
	return nil
}

// restless is how long a machine has to be without a calm moment until we stop waiting for one.
const restless = 6 * time.Second

func (s *stage) restless() bool {
	r, err := s.client.Query(s.ctx, "min_over_time(node_cpu_utilisation_ratio[5s]) >= 0.3", time.Time{})
	return err == nil && len(r.Series) > 0
}

func (s *stage) load() error {
	title("Now we make real load on every CPU.")
	stop := spin()
	defer stop()
	began, before := time.Now(), s.limit()
	if err := s.await("the limit is raised", s.boosted); err != nil {
		return err
	}
	if s.limit() != before {
		say(fmt.Sprintf("%.1f s later the load had crossed the bound that the policy asked to be woken by: the limit went from %s to %s.",
			time.Since(began).Seconds(), before, s.limit()))
	}
	return s.edgehold("metric", "query", "node_cpu_utilisation_ratio")
}

// boosted reports that the policy holds the limit at the top already.
func (s *stage) boosted() bool {
	m, err := s.client.Mechanism(s.ctx, "CPUFrequency")
	if err != nil {
		return false
	}
	for _, k := range m.Knobs {
		if strings.HasSuffix(k.Name, "/max_frequency") && k.Lease != nil && k.Current.Number != nil && k.Max != nil {
			return *k.Current.Number == *k.Max
		}
	}
	return false
}

// spin keeps every CPU busy until the returned function is called.
func spin() (stop func()) {
	var done atomic.Bool
	var wg sync.WaitGroup
	for range runtime.NumCPU() {
		wg.Go(func() {
			for !done.Load() { // busy on purpose
			}
		})
	}
	return func() { done.Store(true); wg.Wait() }
}

func (s *stage) why() error {
	title("Every decision can be asked why.")
	if err := s.edgehold("decision", "list", "--limit", "5"); err != nil {
		return err
	}
	return s.edgehold("decision", "explain", "last")
}

func (s *stage) again() error {
	title("And replayed, bit for bit: the same bytes and the same fuel, here or on another machine.")
	return s.edgehold("decision", "replay", "last")
}

func (s *stage) refuse() error {
	title("What is no policy is refused, with the reason and what to do. The running version is not touched.")
	path := filepath.Join(s.dir, "not-a-policy.wasm")
	if err := os.WriteFile(path, []byte("#!/bin/sh\nrm -rf /\n"), 0o600); err != nil {
		return err
	}
	return s.refused("policy", "upload", path)
}

func (s *stage) endless() error {
	title("A policy that never returns is cut off by its fuel and its deadline; after three failures it is quarantined.")
	module, err := s.build("02-bad-loop")
	if err != nil {
		return err
	}
	if err := s.edgehold("policy", "upload", module); err != nil {
		return err
	}
	stop := spin() // it compiles faster without
	defer stop()
	if err := s.await("the endless policy is quarantined", func() bool { return s.policy("bad-loop").State == api.PolicyQuarantined }); err != nil {
		return err
	}
	return s.edgehold("policy", "list")
}

func (s *stage) worse() error {
	title("Version 2 of the first policy crashes when it plans. It is rolled back by itself.")
	module, err := s.build("03-worse")
	if err != nil {
		return err
	}
	if err := s.edgehold("policy", "upload", module); err != nil {
		return err
	}
	stop := spin() // it compiles faster without
	defer stop()
	if err := s.await("the worse version is rolled back", func() bool { return s.policy("cpu-boost").ActiveVersion == "1.0.0" }); err != nil {
		return err
	}
	return s.edgehold("policy", "versions", "cpu-boost")
}

func (s *stage) kill() error {
	title("Last, we kill the daemon with SIGKILL while it holds the knob.")
	if err := s.edgehold("mechanism", "get", "CPUFrequency"); err != nil {
		return err
	}
	baseline := s.baseline()
	if err := s.daemon.Process.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	_ = s.daemon.Wait()
	began := time.Now()
	if err := s.await("the guard puts the knob back", func() bool { return s.limit() == baseline }); err != nil {
		return err
	}
	say(fmt.Sprintf("%.1f s later a guard process, which outlives the daemon, had put the limit back to its old value: %s.",
		time.Since(began).Seconds(), s.limit()))
	say("That was the main job. README.md has a tour in which you write the policy yourself.")
	return nil
}

// baseline is the limit that CPU 0 had before Edgehold, in the words of limit.
func (s *stage) baseline() string {
	m, err := s.client.Mechanism(s.ctx, "CPUFrequency")
	if err != nil {
		return err.Error()
	}
	for _, k := range m.Knobs {
		if k.Name == "policy0/max_frequency" && k.Baseline.Number != nil {
			return fmt.Sprintf("%.0f MHz", *k.Baseline.Number/1e6)
		}
	}
	return s.limit()
}
