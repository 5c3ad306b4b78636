package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/apiclient"
	"github.com/edgehold/edgehold/cmd/internal/scaffold"
	"github.com/edgehold/edgehold/mechanisms/cpufreq/trees"
)

const (
	crossings = 200
	// crossingPause is longer than the engine's spacing between two wakes.
	crossingPause = 120 * time.Millisecond
	lowKHz        = "1200000" // of the recorded tree
)

// daemon is the real edgeholdd on a recorded machine.
type daemon struct {
	dir     string
	process *exec.Cmd
	client  *apiclient.Client
	otlp    string // URL of the OTLP/HTTP door
}

// startDaemon builds and starts edgeholdd and waits until it answers.
func startDaemon(ctx context.Context) (_ *daemon, err error) {
	d := &daemon{}
	if d.dir, err = os.MkdirTemp("", "edgehold-bench-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			d.stop()
		}
	}()
	program := filepath.Join(d.dir, "edgeholdd")
	if text, err := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, "./cmd/edgeholdd").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the daemon: %w\n%s", err, text)
	}
	if err := trees.Write(filepath.Join(d.dir, "machine"), "acpi-cpufreq"); err != nil {
		return nil, err
	}
	door, err := freeAddress()
	if err != nil {
		return nil, err
	}
	d.otlp = "http://" + door + "/v1/metrics"
	socket := filepath.Join(d.dir, "api.sock")
	d.process = exec.CommandContext(ctx, program, "run", "--log-level", "error",
		"--set", "state_directory="+filepath.Join(d.dir, "state"), "--set", "api.socket="+socket,
		"--set", "mechanism_plugins.root="+filepath.Join(d.dir, "machine"), "--set", "telemetry.otlp.http="+door,
		"--set", `mechanism_plugins.envelope={CPUFrequency: {"*": {min_period: 1ms}}}`)
	d.process.Stderr = os.Stderr
	if err := d.process.Start(); err != nil {
		return nil, err
	}
	if d.client, err = apiclient.New(apiclient.Config{Socket: socket}); err != nil {
		return nil, err
	}
	return d, poll(ctx, func() bool { _, err := d.client.Version(ctx); return err == nil })
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func (d *daemon) stop() {
	if d.process != nil && d.process.Process != nil {
		_ = d.process.Process.Signal(syscall.SIGTERM)
		_ = d.process.Wait()
	}
	_ = os.RemoveAll(d.dir)
}

// upload builds a policy's folder and uploads it.
func (d *daemon) upload(ctx context.Context, folder string) error {
	out := filepath.Join(d.dir, "policy.wasm")
	if _, err := scaffold.Build(ctx, folder, out, scaffold.BuildOptions{}); err != nil {
		return err
	}
	raw, err := os.ReadFile(out)
	if err != nil {
		return err
	}
	_, err = d.client.UploadPolicy(ctx, raw, api.UploadOptions{})
	return err
}

// send delivers one sample of the signal as an application would.
func (d *daemon) send(ctx context.Context, value float64) error {
	body := fmt.Sprintf(`{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"bench_signal","unit":"1","gauge":{"dataPoints":[{"timeUnixNano":"%d","asDouble":%g}]}}]}]}]}`,
		time.Now().UnixNano(), value)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, d.otlp, strings.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("send the signal: %s", response.Status)
	}
	return nil
}

// limit reads the knob's file as the kernel would show it.
func (d *daemon) limit() string {
	raw, _ := os.ReadFile(filepath.Join(d.dir, "machine/sys/devices/system/cpu/cpufreq/policy0/scaling_max_freq"))
	return string(bytes.TrimSpace(raw))
}

// crossingToApplied measures, from outside, from an application's sample that crosses a bound to the knob's file: OTLP, ring,
// wake, episode, log on disk, mechanism and all.
func crossingToApplied(ctx context.Context) (Measured, error) {
	d, err := startDaemon(ctx)
	if err != nil {
		return Measured{}, err
	}
	defer d.stop()
	if err := d.upload(ctx, "cmd/internal/bench/switcher"); err != nil {
		return Measured{}, err
	}
	var took []time.Duration
	for n := range crossings {
		one, err := d.cross(ctx, n%2 == 0)
		if err != nil {
			return Measured{}, fmt.Errorf("crossing %d: %w", n, err)
		}
		took = append(took, one)
		time.Sleep(crossingPause)
	}
	slices.Sort(took)
	return Measured{Ours: took[crossings*99/100].Seconds() * 1e3, Unit: "ms"}, nil
}

func (d *daemon) cross(ctx context.Context, up bool) (time.Duration, error) {
	value := 0.1
	if up {
		value = 0.9
	}
	began := time.Now()
	if err := d.send(ctx, value); err != nil {
		return 0, err
	}
	err := poll(ctx, func() bool { return (d.limit() != lowKHz) == up })
	return time.Since(began), err
}

// patience bounds a poll; a figure that takes longer than this to come about is none.
const patience = 2 * time.Minute

var errPatience = fmt.Errorf("waited %v in vain", patience)

// poll looks again and again, without rest: what it waits for takes milliseconds.
func poll(ctx context.Context, holds func() bool) error {
	for began := time.Now(); !holds(); time.Sleep(100 * time.Microsecond) {
		if time.Since(began) > patience {
			return errPatience
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// idleDaemon measures the daemon's resident memory with five different Go policies after a restart, each having decided.
func idleDaemon(ctx context.Context) (Measured, error) {
	d, err := startDaemon(ctx)
	if err != nil {
		return Measured{}, err
	}
	defer d.stop()
	for n := range 5 {
		folder := filepath.Join(d.dir, "policy"+strconv.Itoa(n))
		if err := differentPolicy(folder, n); err != nil {
			return Measured{}, err
		}
		if err := d.upload(ctx, folder); err != nil {
			return Measured{}, err
		}
	}
	time.Sleep(15 * time.Second) // idle: three looks of each policy, and what the uploads left has gone
	kB, err := residentOf(d.process.Process.Pid)
	return Measured{Ours: kB / 1024, Unit: "MB"}, err
}

// differentPolicy writes a project whose code is unlike that of any other n.
func differentPolicy(folder string, n int) error {
	if err := scaffold.New(folder, "idle-"+strconv.Itoa(n), scaffold.Options{}); err != nil {
		return err
	}
	source := filepath.Join(folder, "policy.go")
	text, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	text = bytes.Replace(text, []byte(`s.Parameter("high")`), fmt.Appendf(nil, `s.Parameter("high") + %g`, float64(n)/1000), 1)
	return os.WriteFile(source, text, 0o600)
}

func residentOf(pid int) (kB float64, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, after, found := strings.Cut(string(status), "VmRSS:")
	if !found {
		return 0, errors.New("the kernel tells no VmRSS")
	}
	_, err = fmt.Sscan(after, &kB)
	return kB, err
}
