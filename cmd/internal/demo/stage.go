package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/apiclient"
)

// stage is where the demo plays: a daemon in a folder of its own, and the command line that speaks to it.
type stage struct {
	ctx           context.Context
	bin, examples string
	dir, root     string // root is the file system whose knobs are turned
	daemon        *exec.Cmd
	client        *apiclient.Client
}

// recorded is the tree that stands in for a machine without frequency scaling.
const recorded = "acpi-cpufreq"

func (s *stage) socket() string { return filepath.Join(s.dir, "edgehold.sock") }

// open prepares the knobs and starts the daemon.
func (s *stage) open() error {
	s.root = "/"
	if found, _ := filepath.Glob("/sys/devices/system/cpu/cpufreq/policy*"); len(found) == 0 || os.Geteuid() != 0 {
		s.root = filepath.Join(s.dir, "machine")
		if text, err := exec.CommandContext(s.ctx, filepath.Join(s.bin, "edgeholdd"), "recorded", s.root, recorded).CombinedOutput(); err != nil {
			return fmt.Errorf("lay down the recorded machine: %w\n%s", err, text)
		}
		say("This machine lets us turn no CPU frequency (a virtual machine, or no root), so the knobs are files recorded",
			"from a machine with the "+recorded+" driver. The load, the metrics and everything else are real.")
	}
	return s.start()
}

func (s *stage) start() error {
	logFile, err := os.Create(filepath.Join(s.dir, "edgeholdd.log"))
	if err != nil {
		return err
	}
	defer logFile.Close()
	s.daemon = exec.Command(filepath.Join(s.bin, "edgeholdd"), "run",
		"--set", "state_directory="+filepath.Join(s.dir, "state"), "--set", "api.socket="+s.socket(),
		"--set", "mechanism_plugins.root="+s.root, "--set", "mechanism_plugins.guard_grace=500ms", "--set", "telemetry.monitor_interval=250ms")
	s.daemon.Stderr = logFile
	s.daemon.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} // whatever ends the demo ends the daemon
	if err := s.daemon.Start(); err != nil {
		return fmt.Errorf("start the daemon: %w", err)
	}
	s.client, err = apiclient.New(apiclient.Config{Socket: s.socket()})
	if err != nil {
		return err
	}
	return s.await("the daemon answers", func() bool {
		_, err := s.client.Version(s.ctx)
		return err == nil
	})
}

// close ends the daemon, if the demo has left it running.
func (s *stage) close() error {
	if s.daemon == nil || s.daemon.ProcessState != nil {
		return nil
	}
	_ = s.daemon.Process.Signal(os.Interrupt)
	return s.daemon.Wait()
}

// edgehold shows a command line and runs it.
func (s *stage) edgehold(args ...string) error {
	_, err := s.try(args...)
	return err
}

func (s *stage) try(args ...string) (code int, err error) {
	shown := make([]string, len(args))
	for i, a := range args {
		shown[i] = strings.TrimPrefix(a, s.dir+"/")
		if strings.ContainsAny(a, " |*") {
			shown[i] = "'" + a + "'"
		}
	}
	fmt.Printf("\n%s edgehold %s\n", dim("$"), bold(strings.Join(shown, " ")))
	cmd := exec.CommandContext(s.ctx, filepath.Join(s.bin, "edgehold"), args...)
	cmd.Env = append(os.Environ(), "EDGEHOLD_SOCKET="+s.socket())
	out, err := cmd.CombinedOutput()
	for line := range bytes.Lines(out) {
		fmt.Printf("  %s", bytes.ReplaceAll(line, []byte(s.dir+"/"), nil))
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), fmt.Errorf("edgehold %s: exit code %d", strings.Join(args, " "), exit.ExitCode())
	}
	return 0, err
}

// refused runs a command that has to fail.
func (s *stage) refused(args ...string) error {
	code, err := s.try(args...)
	if code == 0 && err == nil {
		return fmt.Errorf("edgehold %s was not refused", strings.Join(args, " "))
	}
	return s.ctx.Err()
}

// build compiles an example and returns where the module lies.
func (s *stage) build(example string) (string, error) {
	out := filepath.Join(s.dir, strings.TrimLeft(example, "0123456789-")+".wasm")
	cmd := exec.CommandContext(s.ctx, filepath.Join(s.bin, "edgehold"), "policy", "build", filepath.Join(s.examples, example), "--to", out)
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", example, err, text)
	}
	return out, nil
}

// limit reads the first CPU's upper frequency limit, in MHz, straight from the file.
func (s *stage) limit() string {
	raw, err := os.ReadFile(filepath.Join(s.root, "sys/devices/system/cpu/cpufreq/policy0/scaling_max_freq"))
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(string(raw)), "000")) + " MHz"
}

// patience is for machines that are slow or have other work.
const patience = 2 * time.Minute

func (s *stage) await(what string, holds func() bool) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(patience)
	for !holds() {
		select {
		case <-tick.C:
		case <-s.ctx.Done():
			return s.ctx.Err()
		case <-timeout:
			return fmt.Errorf("waited %s in vain until %s; the daemon's log:\n%s", patience, what, s.log())
		}
	}
	return nil
}

func (s *stage) log() string {
	raw, _ := os.ReadFile(filepath.Join(s.dir, "edgeholdd.log"))
	return string(raw)
}

// policy returns what the daemon says of a policy.
func (s *stage) policy(name string) api.Policy {
	p, err := s.client.Policy(s.ctx, name)
	if err != nil {
		return api.Policy{}
	}
	return p
}
