package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/apiserver"
	"github.com/edgehold/edgehold/agents/apiserver/apiservertest"
	"github.com/edgehold/edgehold/agents/apiserver/token"
	"github.com/edgehold/edgehold/plugins/rollout"
	"github.com/edgehold/edgehold/wasmabi"
)

var update = flag.Bool("update", false, "write golden files and scripts")

// then is when every script happens.
var then = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"edgehold": func() { os.Exit(run()) }})
}

// TestScripts runs each script in testdata against a real server with an agent in memory behind it.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		Setup:               setup,
		Condition: func(name string) (bool, error) {
			if name == "short" {
				return testing.Short(), nil
			}
			return false, fmt.Errorf("unknown condition %s", name)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"module": makeModule,
			"helper": buildHelper,
			"decide": recordDecision,
			"sick":   makeSick,
			"code":   exitsWith,

			"advance": advance,
			"measure": measure,
			"reach":   reach,

			"heat":     heat,
			"distrust": distrust,
		},
	})
}

type agentKey struct{}

// setup starts the agent of a script. Its socket has a short path, because socket paths are bounded.
func setup(env *testscript.Env) error {
	dir, err := os.MkdirTemp("", "eh")
	if err != nil {
		return err
	}
	agent := apiservertest.New(func() time.Time { return then })
	agent.SetSample("node_load1", 1.5)
	agent.SetSample("node_memory_MemFree_bytes", 1<<30)
	socket := filepath.Join(dir, "s")
	network, err := network(env)
	if err != nil {
		return err
	}
	server, err := apiserver.New(apiserver.Config{Socket: socket, TCP: network, Backend: agent.Backend(), Events: agent.Events,
		Version: api.Version{Version: "1.2.3", Go: "go1.26", Platform: "linux/arm64", ABI: 1}})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	env.Defer(func() {
		cancel()
		if err := <-done; err != nil {
			env.T().Fatal(err)
		}
		os.RemoveAll(dir)
	})
	if err := addThings(env, dir); err != nil {
		return err
	}
	env.Values[agentKey{}] = agent
	env.Setenv("EDGEHOLD_SOCKET", socket)
	env.Setenv("SERVER", server.Addrs()[1].String())
	env.Setenv("HOME", env.WorkDir)
	settings, err := compilerSettings()
	for name, value := range settings {
		env.Setenv(name, value)
	}
	return err
}

// compilerSettings keep Go's caches where they are although each script has a home of its own.
var compilerSettings = sync.OnceValues(func() (settings map[string]string, err error) {
	text, err := exec.Command("go", "env", "-json", "GOCACHE", "GOMODCACHE", "GOFLAGS", "GOPROXY").Output()
	if err != nil {
		return nil, err
	}
	return settings, json.Unmarshal(text, &settings)
})

// network makes a certificate, ca.pem, and a token of each role, viewer.token and operator.token.
func network(env *testscript.Env) (*apiserver.TCP, error) {
	at := func(name string) string { return filepath.Join(env.WorkDir, name) }
	if err := apiservertest.WriteCertificate(at("ca.pem"), at("key.pem")); err != nil {
		return nil, err
	}
	for _, role := range []api.Role{api.RoleViewer, api.RoleOperator} {
		made, secret, err := token.New(string(role), role)
		if err != nil {
			return nil, err
		}
		if err := token.Append(at("agent.tokens"), made); err != nil {
			return nil, err
		}
		if err := os.WriteFile(at(string(role)+".token"), []byte(secret+"\n"), 0o600); err != nil {
			return nil, err
		}
	}
	return &apiserver.TCP{Address: "127.0.0.1:0", CertFile: at("ca.pem"), KeyFile: at("key.pem"), TokenFile: at("agent.tokens")}, nil
}

func agentOf(ts *testscript.TestScript) *apiservertest.Agent {
	return ts.Value(agentKey{}).(*apiservertest.Agent)
}

// makeModule is "module FILE NAME VERSION [ml]": a module with a manifest and no code.
func makeModule(ts *testscript.TestScript, _ bool, args []string) {
	m := wasmabi.Manifest{Name: args[1], Version: args[2], Kind: wasmabi.KindPolicy, Layer: wasmabi.LayerNode, Scope: wasmabi.ScopeNode, ABI: 1,
		Description:       "Lowers the frequency limit while the machine is idle.",
		Metrics:           []wasmabi.MetricRequest{{Name: "node_load1", Required: true}, {Name: "node_cpu_seconds_total", Labels: []wasmabi.Label{{Name: "mode", Value: "idle"}}, Reduce: "avg", Unit: "s"}},
		Mechanisms:        []wasmabi.MechanismRequest{{Name: "CPUFrequency", Verbs: []string{"set"}, Reason: "to follow the load"}},
		Wake:              []wasmabi.Wake{{Metric: 0, Above: 3, Below: nan}},
		Parameters:        []wasmabi.Parameter{{Name: "target", Default: 0.7, Min: 0, Max: 1, Description: "load to aim at"}},
		AnalyzeIntervalMS: 1000, UsesML: len(args) > 3}
	module, err := wasmabi.AppendManifest([]byte("\x00asm\x01\x00\x00\x00"), &m)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), module, 0o644))
}

// recordDecision is "decide ID OUTCOME".
func recordDecision(ts *testscript.TestScript, _ bool, args []string) {
	number := api.NumberValue
	d := api.Decision{
		DecisionSummary: api.DecisionSummary{ID: args[0], At: then, Policy: "load-follower", Version: "1.0.0", Asset: "node", Trigger: "wake",
			Outcome: api.DecisionOutcome(args[1]), Why: "load is low", DurationUS: 940},
		Digest: "sha256:9f86d081884c7d659a2feaa0c55ad015", Mode: api.ModeHeuristic, TraceID: "4bf92f3577b34da6", Replayable: true,
		Observations: []api.Observation{{Metric: "node_load1", Value: 0.25, AgeMS: 12}, {Metric: "node_temp", Labels: map[string]string{"chip": "a"}, Value: api.Float(nan), Missing: true}},
		Crossed:      []api.Crossing{{Metric: "node_load1", Bound: 0.5, Value: 0.25}},
		Analysis:     &api.AnalysisStep{Plan: true, Why: "load is low"},
	}
	if d.Outcome != api.DecisionQuiet {
		d.PlanWhy = "one step down"
		d.Plan = []api.PlannedChange{{Mechanism: "CPUFrequency", Verb: api.VerbSet, Knob: "policy0/max_frequency", Unit: "Hz", Value: number(1.9e9)}}
		d.Arbitration = []api.Arbitration{{Mechanism: "CPUFrequency", Knob: "policy0/max_frequency", Won: true, Rule: "nobody else named it"}}
		d.Results = []api.MechanismResult{{Mechanism: "CPUFrequency", Outcome: api.OutcomeClamped, Changes: []api.KnobChange{{Knob: "policy0/max_frequency", Unit: "Hz",
			Old: number(2.4e9), Requested: number(1.9e9), Effective: number(1.8e9), Reason: "the hardware has no frequency in between"}}}}
		d.Calls = []api.CallCost{{Op: "analyze", Fuel: 1200, DurationUS: 14}, {Op: "plan", Fuel: 3000, DurationUS: 31}}
	}
	agentOf(ts).Record(d)
}

// advance is "advance DURATION": time passes for every rollout.
func advance(ts *testscript.TestScript, _ bool, args []string) {
	d, err := time.ParseDuration(args[0])
	ts.Check(err)
	agentOf(ts).Advance(d)
}

// measure is "measure POLICY good|trap|gate": the agent reads what the new version does.
func measure(ts *testscript.TestScript, _ bool, args []string) {
	load := 0.5
	r := rollout.Reading{Passes: 600, Compared: 600, SameVerdict: 600, SamePlan: 594, FuelLive: 1000, FuelNext: 1020,
		P50Live: 30 * time.Microsecond, P99Live: 40 * time.Microsecond, P50Next: 31 * time.Microsecond, P99Next: 41 * time.Microsecond, Gates: []*float64{&load}}
	switch args[1] {
	case "trap":
		r.Traps = 2
	case "gate":
		load = 3
	}
	for range rollout.DefaultGateSamples {
		agentOf(ts).Measure(args[0], r)
	}
}

// reach is "reach POLICY PHASE": it waits until another process has brought the rollout there.
func reach(ts *testscript.TestScript, _ bool, args []string) {
	rollouts := agentOf(ts).Backend().Rollouts
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if r, err := rollouts.Get(context.Background(), args[0]); err == nil && string(r.Phase) == args[1] {
			return
		}
	}
	ts.Fatalf("the rollout of %s did not reach %s", args[0], args[1])
}

// makeSick makes the agent's doctor find a fault.
func makeSick(ts *testscript.TestScript, _ bool, _ []string) {
	agentOf(ts).SetChecks(
		api.CheckResult{Name: "cpufreq", Status: api.CheckOK, Detail: "policy0 answers"},
		api.CheckResult{Name: "disk-space", Status: api.CheckFail, Detail: "only 1 MiB are free", Hint: "free space"})
}

// exitsWith is "code N edgehold ...": it runs the command and compares its exit code.
func exitsWith(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	if exit, ok := err.(*exec.ExitError); ok {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if fmt.Sprint(got) != args[0] {
		ts.Fatalf("exit code %d, want %s", got, args[0])
	}
}

// TestStreams prints what comes over a stream until it is interrupted, in each format.
func TestStreams(t *testing.T) {
	agent := apiservertest.New(func() time.Time { return then })
	dir, err := os.MkdirTemp("", "eh")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "s")
	server, err := apiserver.New(apiserver.Config{Socket: socket, Backend: agent.Backend(), Events: agent.Events})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	defer func() { stop(); <-done }()
	for _, c := range []struct{ args, want string }{
		{"mechanism list --watch", "CPUFrequency   yes         acpi-cpufreq       2      0"},
		{"mechanism list -w -o name", "CPUFrequency\n"},
		{"mechanism list -w -o json", `{"type":"present","name":"CPUFrequency"`},
		{"mechanism list -w -o yaml", "---\nitem:\n"},
		{"policy list -w", "NAME   STATE   VERSION   STANDBY   CALLS   FAILURES\n"},
		{"mechanism state CPUFrequency -w -o name", "policy0/max_frequency\npolicy0/governor\n"},
	} {
		t.Run(c.args, func(t *testing.T) {
			watching, interrupt := context.WithCancel(ctx)
			defer interrupt()
			out := &sought{want: c.want, found: interrupt}
			code := Main(watching, append(strings.Fields(c.args), "--socket", socket), nil, out, out, func(string) string { return "" })
			if code != exitInterrupted && code != exitOK || !strings.Contains(out.text.String(), c.want) {
				t.Errorf("exit code %d:\n%s", code, &out.text)
			}
		})
	}
}

// sought keeps what is written and calls found once it has what is wanted.
type sought struct {
	text  bytes.Buffer
	want  string
	found func()
}

func (u *sought) Write(b []byte) (int, error) {
	u.text.Write(b)
	if strings.Contains(u.text.String(), u.want) {
		u.found()
	}
	return len(b), nil
}
