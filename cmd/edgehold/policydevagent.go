package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/edgehold/edgehold/agents/apiclient"
	"github.com/edgehold/edgehold/cmd/internal/cli"
)

const (
	startTimeout = time.Minute
	startPoll    = 20 * time.Millisecond
	stopTimeout  = 30 * time.Second // it puts back what its policies hold
)

// reach finds the agent to develop on: the one that is named, else the one that answers, else one of its own, which stop ends.
func (d *developer) reach(ctx context.Context) (stop func() error, err error) {
	nothing := func() error { return nil }
	if d.agent, err = d.a.connect(); err != nil {
		return nothing, err
	}
	request, cancel := context.WithTimeout(ctx, d.a.timeout)
	defer cancel()
	_, err = d.agent.Version(request)
	if err == nil || d.named() || ctx.Err() != nil {
		return nothing, err
	}
	var unreachable *apiclient.ConnectError
	if !errors.As(err, &unreachable) {
		return nothing, err
	}
	program, found := findDaemon()
	if !found {
		return nothing, &cli.Failure{Attempt: "develop a policy", Code: "policy.no-agent", Why: unreachable.Why + ", and there is no " + daemon + " to start one with",
			Hint: "start an agent and name its socket with --socket, or put " + daemon + " beside edgehold or into the PATH"}
	}
	own, err := startAgent(ctx, program)
	if err != nil {
		return nothing, err
	}
	d.agent = own.client
	d.note("no agent answers at %s, so one runs on a recorded machine in %s until this ends; EDGEHOLD_SOCKET=%s leads to it", unreachable.Where, own.dir, own.socket())
	return func() error { d.agent = nil; return own.stop() }, nil
}

// named reports whether the person said which agent to use.
func (d *developer) named() bool {
	a := d.a
	return a.socket != "" || a.server != "" || a.getenv("EDGEHOLD_SOCKET") != "" || a.getenv("EDGEHOLD_SERVER") != ""
}

// ownAgent is an agent that lives as long as this command.
type ownAgent struct {
	dir     string
	process *exec.Cmd
	ended   chan error
	client  *apiclient.Client
}

func (o *ownAgent) socket() string { return filepath.Join(o.dir, "edgehold.sock") }
func (o *ownAgent) log() string    { return filepath.Join(o.dir, "daemon.log") }

func startAgent(ctx context.Context, program string) (o *ownAgent, err error) {
	o = &ownAgent{ended: make(chan error, 1)}
	if o.dir, err = os.MkdirTemp("", "edgehold-dev-"); err != nil {
		return nil, fmt.Errorf("start an agent: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(o.dir))
		}
	}()
	machine := filepath.Join(o.dir, "machine")
	if text, err := exec.CommandContext(ctx, program, "recorded", machine).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("lay down a recorded machine: %w: %s", err, text)
	}
	if err := o.start(program, machine); err != nil {
		return nil, err
	}
	if o.client, err = apiclient.New(apiclient.Config{Socket: o.socket()}); err == nil {
		err = o.await(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, o.end())
	}
	return o, nil
}

// start runs the program in a process group of its own: Ctrl-C is for this command, which stops it when it has finished.
func (o *ownAgent) start(program, machine string) error {
	log, err := os.Create(o.log())
	if err != nil {
		return fmt.Errorf("start an agent: %w", err)
	}
	defer log.Close()
	o.process = exec.Command(program, "run", "--set", "state_directory="+filepath.Join(o.dir, "state"), "--set", "mechanism_plugins.root="+machine,
		"--set", "api.socket="+o.socket())
	o.process.Stdout, o.process.Stderr = log, log
	ownGroup(o.process)
	if err := o.process.Start(); err != nil {
		return fmt.Errorf("start an agent: %w", err)
	}
	go func() { o.ended <- o.process.Wait() }()
	return nil
}

// await waits until it answers.
func (o *ownAgent) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	ticks := time.NewTicker(startPoll)
	defer ticks.Stop()
	for {
		if _, err := o.client.Version(ctx); err == nil {
			return nil
		}
		select {
		case <-ticks.C:
		case err := <-o.ended:
			o.ended <- err
			text, _ := os.ReadFile(o.log())
			return &cli.Failure{Attempt: "start an agent", Code: "policy.agent-ended", Why: "it ended: " + strings.TrimSpace(string(text)),
				Hint: "run " + o.process.Path + " run by hand, and see what it says"}
		case <-ctx.Done():
			return fmt.Errorf("wait for the agent of %s: %w", o.dir, ctx.Err())
		}
	}
}

// stop ends it and forgets its folder.
func (o *ownAgent) stop() error { return errors.Join(o.end(), os.RemoveAll(o.dir)) }

func (o *ownAgent) end() error {
	if o.client != nil {
		o.client.Close()
	}
	_ = o.process.Process.Signal(syscall.SIGTERM) // it may have ended already
	timer := time.NewTimer(stopTimeout)
	defer timer.Stop()
	select {
	case <-o.ended:
		return nil
	case <-timer.C:
		return errors.Join(fmt.Errorf("stop the agent of %s: it goes on after %s", o.dir, stopTimeout), o.process.Process.Kill())
	}
}
