package helper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Client is a helper that runs. It is used by one goroutine at a time.
type Client struct {
	cancel   context.CancelFunc
	command  *exec.Cmd
	to       io.WriteCloser
	encoder  *json.Encoder
	from     *reader
	complain tail
	exports  []string
	warnings []string
	broken   error
}

// ErrNotInstalled is returned where the helper is neither beside this program nor in PATH.
var ErrNotInstalled error = &Failure{Message: "run a plugin: " + Program + " is not installed", Code: "extism.helper",
	Why: Program + " is neither beside this program nor in PATH", Hint: "build it (make build) and put it beside this program"}

// Find looks for the helper beside this program, then in PATH.
func Find() (string, error) {
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), Program)
		if info, err := os.Stat(beside); err == nil && info.Mode().IsRegular() {
			return beside, nil
		}
	}
	path, err := exec.LookPath(Program)
	if err != nil {
		return "", ErrNotInstalled
	}
	return path, nil
}

// grace is how long a helper may take to end by itself.
const grace = 2 * time.Second

// Start starts the program and has it prepare the order. The helper lives until Close, or until ctx ends.
func Start(ctx context.Context, program string, o *Order) (*Client, error) {
	ctx, cancel := context.WithCancel(ctx)
	c := &Client{cancel: cancel, command: exec.CommandContext(ctx, program)}
	c.command.Env = append(os.Environ(), "HTTP_PROXY=", "HTTPS_PROXY=")
	return c.begin(o, maxMessage)
}

// StartConfined is Start for a daemon: the helper has an empty environment, works in a folder that should be its own, and dies
// with the thread's process that started it, however that ends. An answer of more than most bytes ends it.
func StartConfined(ctx context.Context, program, dir string, most int64, o *Order) (*Client, error) {
	ctx, cancel := context.WithCancel(ctx)
	c := &Client{cancel: cancel, command: exec.CommandContext(ctx, program)}
	c.command.Env, c.command.Dir = []string{}, dir
	withParent(c.command)
	return c.begin(o, most)
}

func (c *Client) begin(o *Order, most int64) (*Client, error) {
	if err := c.start(); err != nil {
		c.cancel()
		return nil, fmt.Errorf("start %s: %w", c.command.Path, err)
	}
	c.from.most = most
	answer, err := c.exchange(o)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	c.exports, c.warnings = answer.Exports, answer.Warnings
	return c, nil
}

func (c *Client) start() error {
	c.command.WaitDelay = grace
	c.command.Stderr = &c.complain
	to, err := c.command.StdinPipe()
	if err != nil {
		return err
	}
	from, err := c.command.StdoutPipe()
	if err != nil {
		return err
	}
	c.to, c.encoder, c.from = to, json.NewEncoder(to), newReader(from)
	return c.command.Start()
}

// Exports returns the names of the functions that can be called.
func (c *Client) Exports() []string { return c.exports }

// Warnings returns what people should know about how the plugin is run.
func (c *Client) Warnings() []string { return c.warnings }

// Call calls an export. An error is the plugin's or the engine's, as a *Failure in both cases, or the helper died; the answer is
// there with a *Failure too.
func (c *Client) Call(export string, input []byte) (Answer, error) {
	if c.broken != nil {
		return Answer{}, c.broken
	}
	return c.exchange(Call{Export: export, Input: input})
}

// CallContext is Call for as long as ctx lasts: then the helper is ended, for it can't be told to stop.
func (c *Client) CallContext(ctx context.Context, call Call) (Answer, error) {
	if err := errors.Join(ctx.Err(), c.broken); err != nil {
		return Answer{}, err
	}
	stop := context.AfterFunc(ctx, c.cancel)
	a, err := c.exchange(call)
	if !stop() {
		c.broken = &Failure{Message: "call " + call.Export + ": the time for it is up, and the helper that ran it was ended", Code: CodeDeadline,
			Why: context.Cause(ctx).Error(), Hint: "raise limits.deadline, or look for what hangs"}
		return Answer{}, errors.Join(c.broken, ctx.Err())
	}
	return a, err
}

// PID is the helper's process.
func (c *Client) PID() int { return c.command.Process.Pid }

// Broken reports whether the helper will answer no more.
func (c *Client) Broken() bool { return c.broken != nil }

func (c *Client) exchange(message any) (Answer, error) {
	var a Answer
	if err := c.encoder.Encode(message); err != nil {
		return a, c.died(err)
	}
	if err := c.from.read(&a); err != nil {
		return a, c.died(err)
	}
	if a.Error != nil {
		return a, a.Error
	}
	return a, nil
}

// died says why there will be no more answers.
func (c *Client) died(err error) error {
	c.cancel()
	c.broken = &Failure{Message: "the helper that runs the plugin has ended: " + err.Error(), Code: CodeDied,
		Why: strings.TrimSpace(c.complain.String()), Hint: "start it again; a plugin can not harm more than this process"}
	return c.broken
}

// Close ends the helper: kindly, then by force. It may be called twice.
func (c *Client) Close() error {
	c.to.Close()
	timer := time.AfterFunc(grace, c.cancel)
	defer timer.Stop()
	err := c.command.Wait()
	c.cancel()
	c.broken = errors.New("the helper was closed")
	if _, killed := errors.AsType[*exec.ExitError](err); killed || errors.Is(err, context.Canceled) {
		return nil // it has died before, or was told to
	}
	return err
}

// tail keeps the end of what a process writes.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailBytes = 4096

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	t.text = t.text[max(0, len(t.text)-tailBytes):]
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
