package control

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// answerWithin bounds every call but those that say otherwise. A guest that is well answers in milliseconds; one that does not may
// have frozen, and a caller that waits for it would never learn of it.
const answerWithin = 30 * time.Second

// Client calls into a guest. A call that gets no answer fails after half a minute.
type Client struct {
	conn *http.ClientConn
}

// NewClient speaks over pipe, which it owns from now on.
func NewClient(ctx context.Context, pipe net.Conn) (*Client, error) {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	t := &http.Transport{
		Protocols:   &protocols,
		DialContext: func(context.Context, string, string) (net.Conn, error) { return pipe, nil },
	}
	conn, err := t.NewClientConn(ctx, "http", "guest:80")
	if err != nil {
		return nil, fmt.Errorf("greet the guest: %w", err)
	}
	return &Client{conn}, nil
}

// Close lets go of the pipe; calls under way fail.
func (c *Client) Close() error { return c.conn.Close() }

// Greet waits for the guest's first answer, for as long as ctx allows: it may still be booting.
func (c *Client) Greet(ctx context.Context) error {
	_, err := c.exchange(ctx, http.MethodGet, pathFile, url.Values{"name": {"/proc/uptime"}}, nil)
	return err
}

// ReadFile reads one of the guest's files and cuts the white space around its contents, as sysfs ends every value with a new line.
func (c *Client) ReadFile(ctx context.Context, name string) (string, error) {
	b, err := c.do(ctx, http.MethodGet, pathFile, url.Values{"name": {name}}, nil)
	return strings.TrimSpace(string(b)), err
}

// WriteFile writes one of the guest's files with a single write.
func (c *Client) WriteFile(ctx context.Context, name string, contents []byte) error {
	_, err := c.do(ctx, http.MethodPut, pathFile, url.Values{"name": {name}}, bytes.NewReader(contents))
	return err
}

// Glob lists the guest's files that match pattern.
func (c *Client) Glob(ctx context.Context, pattern string) (names []string, err error) {
	b, err := c.do(ctx, http.MethodGet, pathGlob, url.Values{"name": {pattern}}, nil)
	if err != nil {
		return nil, err
	}
	return names, json.Unmarshal(b, &names)
}

// Start starts a program and returns its process id.
func (c *Client) Start(ctx context.Context, cmd Command) (pid int, err error) {
	var p process
	err = c.call(ctx, pathStart, cmd, &p)
	return p.PID, err
}

// Wait waits until a program that was started by Start has ended, for as long as ctx allows.
func (c *Client) Wait(ctx context.Context, pid int) (exit Exit, err error) {
	err = c.post(ctx, c.exchange, pathWait, process{pid}, &exit)
	return exit, err
}

// Signal sends a signal to a process.
func (c *Client) Signal(ctx context.Context, pid int, signal syscall.Signal) error {
	return c.call(ctx, pathSignal, Signal{pid, int(signal)}, nil)
}

// SetClock sets the guest's wall clock.
func (c *Client) SetClock(ctx context.Context, t time.Time) error {
	return c.call(ctx, pathClock, clock{t}, nil)
}

// PowerOff ends the guest at once; the answer may be lost with it.
func (c *Client) PowerOff(ctx context.Context) error { return c.call(ctx, pathOff, struct{}{}, nil) }

// call posts q as JSON and decodes the answer into a, unless that is nil.
func (c *Client) call(ctx context.Context, path string, q, a any) error {
	return c.post(ctx, c.do, path, q, a)
}

func (c *Client) post(ctx context.Context, do exchange, path string, q, a any) error {
	body, err := json.Marshal(q)
	if err != nil {
		return err
	}
	b, err := do(ctx, http.MethodPost, path, nil, bytes.NewReader(body))
	if err != nil || a == nil {
		return err
	}
	return json.Unmarshal(b, a)
}

// exchange sends a request and reads the whole answer.
type exchange func(ctx context.Context, method, path string, q url.Values, body io.Reader) ([]byte, error)

// do is an exchange that does not wait for ever.
func (c *Client) do(ctx context.Context, method, path string, q url.Values, body io.Reader) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	return c.exchange(ctx, method, path, q, body)
}

func (c *Client) exchange(ctx context.Context, method, path string, q url.Values, body io.Reader) ([]byte, error) {
	resp, err := c.send(ctx, method, path, q, body)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// send returns a response that says success, or an error.
func (c *Client) send(ctx context.Context, method, path string, q url.Values, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://guest"+path+"?"+q.Encode(), body)
	if err != nil {
		return nil, err
	}
	resp, err := c.conn.RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("call %s in the guest: %w", path, err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	return nil, fmt.Errorf("call %s in the guest: %s", path, strings.TrimSpace(string(text)))
}
