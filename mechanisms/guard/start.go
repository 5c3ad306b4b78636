package guard

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"

	"github.com/edgehold/edgehold/mechanisms"
)

// Config tells how to start a guard. Dir and Drivers are needed.
type Config struct {
	Executable string            // empty = this program
	Args       []string          // what makes the program call Main, for example {"guard"}
	Dir        string            // the supervisor's state folder
	Drivers    map[string]string // mechanism name -> root to open its driver with
	Late       string            // what Main's Finder is given; empty = there are no drivers but those
	Grace      time.Duration     // 0 = 2 s
	Patience   time.Duration     // how long to try knobs that can't be put back; 0 = 10 minutes
	Exit       mechanisms.ExitPolicy

	DriverPatience time.Duration // as in mechanisms.Config

	HandsOff string    // as in mechanisms.Config
	BootID   string    // empty = the machine's
	Stderr   io.Writer // where the guard logs; an *os.File outlives the daemon; nil = nowhere
	Logger   *slog.Logger
	Watching func(pid int) // called by Keep each time that a guard is watching; may be nil
}

// readyLine is what the guard says when it is watching.
const readyLine = "watching"

// readyPatience bounds the start; a loaded single-board computer needs a second or two, and one that is overloaded more.
const readyPatience = 30 * time.Second

// Process is a running guard.
type Process struct {
	cmd  *exec.Cmd
	pipe *os.File // our end; the guard takes its closing for our death
	done chan struct{}
	err  error
}

// Start starts a guard and returns when it is watching; call it when the supervisor has the state folder. The guard has
// a session of its own, so that what ends the daemon's terminal or process group does not end it.
func Start(ctx context.Context, c Config) (*Process, error) {
	exe := c.Executable
	if exe == "" {
		var err error
		if exe, err = os.Executable(); err != nil {
			return nil, fmt.Errorf("start guard: %w", err)
		}
	}
	theirs, ours, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start guard: %w", err)
	}
	defer theirs.Close()
	cmd := exec.Command(exe, c.arguments()...)
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "GOMEMLIMIT=16MiB")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Stderr = c.Stderr
	p := &Process{cmd: cmd, pipe: ours, done: make(chan struct{})}
	if err := p.start(ctx); err != nil {
		ours.Close()
		return nil, fmt.Errorf("start guard: %w", err)
	}
	return p, nil
}

func (c Config) arguments() []string {
	args := append(slices.Clone(c.Args), "--dir="+c.Dir)
	for name, root := range c.Drivers {
		args = append(args, "--driver="+name+"="+root)
	}
	option := func(name, value string, given bool) {
		if given {
			args = append(args, "--"+name+"="+value)
		}
	}
	option("late", c.Late, c.Late != "")
	option("grace", c.Grace.String(), c.Grace > 0)
	option("patience", c.Patience.String(), c.Patience > 0)
	option("driver-patience", c.DriverPatience.String(), c.DriverPatience > 0)
	option("exit", string(c.Exit), c.Exit != "")
	option("hands-off", c.HandsOff, c.HandsOff != "")
	option("boot-id", c.BootID, c.BootID != "")
	owner := mechanisms.Owner(c.Dir)
	option("owner", owner, owner != "")
	return args
}

func (p *Process) start(ctx context.Context) error {
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	said := make(chan string, 1)
	go p.wait(out, said)
	timeout := time.NewTimer(readyPatience)
	defer timeout.Stop()
	select {
	case line := <-said:
		if line == readyLine+"\n" {
			return nil
		}
		err = fmt.Errorf("it said %q and not that it is watching", line)
	case <-timeout.C:
		err = errors.New("it does not come up")
	case <-ctx.Done():
		err = ctx.Err()
	}
	return errors.Join(err, p.Kill())
}

// wait is the one goroutine of a Process: it reads the first line, then waits for the end.
func (p *Process) wait(out io.Reader, said chan<- string) {
	line, _ := bufio.NewReader(io.LimitReader(out, 256)).ReadString('\n')
	said <- line
	p.err = p.cmd.Wait()
	close(p.done)
}

// PID returns the guard's process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the guard has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Leave tells the guard that the daemon ends. Call it after [mechanisms.Supervisor.Close]: with nothing outstanding
// the guard ends at once, otherwise it goes on alone. Leave waits for neither.
func (p *Process) Leave() error { return p.pipe.Close() }

// leaveAndWait gives a guard that has nothing left to do the time to end.
func (p *Process) leaveAndWait() error {
	err := p.Leave()
	select {
	case <-p.done:
	case <-time.After(leavePatience):
	}
	return err
}

// leavePatience is how long the end of the daemon may be held up by its guard; one that has work left goes on alone.
const leavePatience = time.Second

// Kill ends the guard and waits until it has gone.
func (p *Process) Kill() error {
	err := p.cmd.Process.Kill()
	<-p.done
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// Keep keeps a guard running until the context is done, starting another when one dies. Then it leaves the last one
// to itself, so end the context after the supervisor is closed.
func Keep(ctx context.Context, c Config) error {
	log := c.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	for pause := firstPause; ; {
		p, err := Start(ctx, c)
		if err != nil && ctx.Err() != nil {
			return nil
		}
		if err != nil {
			log.Error("guard", "error", err)
		} else {
			pause = firstPause
			if c.Watching != nil {
				c.Watching(p.PID())
			}
			select {
			case <-ctx.Done():
				return p.leaveAndWait()
			case <-p.Done():
				log.Warn("guard ended, starting another", "cause", p.err)
				p.Leave()
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
			pause = min(2*pause, lastPause)
		}
	}
}

// Pauses between starts.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 30 * time.Second
)
