package control

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
)

// processes are the programs started so far, so that each can be waited for.
type processes struct {
	mu    sync.Mutex
	ended map[int]*end
}

// end is set before done is closed.
type end struct {
	done chan struct{}
	exit Exit
}

func newProcesses() *processes { return &processes{ended: map[int]*end{}} }

func (p *processes) start(c Command) (process, error) {
	if len(c.Args) == 0 {
		return process{}, fmt.Errorf("start a program: no path given")
	}
	cmd := exec.Command(c.Args[0], c.Args[1:]...)
	cmd.Env = append([]string{"PATH=/bin", "HOME=/root"}, c.Env...)
	if c.Output != "" {
		out, err := os.OpenFile(c.Output, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
		if err != nil {
			return process{}, err
		}
		defer out.Close()
		cmd.Stdout, cmd.Stderr = out, out
	}
	if err := cmd.Start(); err != nil {
		return process{}, fmt.Errorf("start %s: %w", c.Args[0], err)
	}
	e := &end{done: make(chan struct{})}
	p.mu.Lock()
	p.ended[cmd.Process.Pid] = e
	p.mu.Unlock()
	go e.follow(cmd)
	return process{PID: cmd.Process.Pid}, nil
}

// follow collects the program; it ends with it.
func (e *end) follow(cmd *exec.Cmd) {
	defer close(e.done)
	cmd.Wait() //nolint:errcheck // the state says it all
	e.exit.Code = cmd.ProcessState.ExitCode()
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		e.exit.Signal = int(ws.Signal())
	}
}

func (p *processes) wait(ctx context.Context, which process) (Exit, error) {
	p.mu.Lock()
	e := p.ended[which.PID]
	p.mu.Unlock()
	if e == nil {
		return Exit{}, fmt.Errorf("wait for process %d: not started here", which.PID)
	}
	select {
	case <-e.done:
		return e.exit, nil
	case <-ctx.Done():
		return Exit{}, ctx.Err()
	}
}

func (s Signal) send() error {
	if err := syscall.Kill(s.PID, syscall.Signal(s.Number)); err != nil {
		return fmt.Errorf("signal %d to process %d: %w", s.Number, s.PID, err)
	}
	return nil
}
