//go:build linux

package leshan

import (
	"bufio"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Config says what a client is.
type Config struct {
	Endpoint  string
	URI       string // of its server, or of its bootstrap server
	Lifetime  time.Duration
	Bootstrap bool
	Object9   string // file with OMA's definition of object 9
	Identity  string // of PSK; empty: no security
	Key       []byte
}

// Client is a process.
type Client struct {
	command *exec.Cmd
	in      io.WriteCloser
	errors  strings.Builder
	lines   chan string
	ended   sync.WaitGroup
}

// Start starts a client, which registers by itself.
func Start(c Config) (*Client, error) {
	path, err := classpath()
	if err != nil {
		return nil, err
	}
	role := "server"
	if c.Bootstrap {
		role = "bootstrap"
	}
	arguments := []string{"-Xmx128m", "-cp", path, "Peer", c.Endpoint, c.URI, fmt.Sprint(int(c.Lifetime.Seconds())), c.Object9, role}
	if c.Identity != "" {
		arguments = append(arguments, c.Identity, hex.EncodeToString(c.Key))
	}
	client := &Client{command: exec.Command("java", arguments...), lines: make(chan string, 1024)}
	client.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	client.command.Stderr = &client.errors
	if client.in, err = client.command.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := client.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := client.command.Start(); err != nil {
		return nil, err
	}
	client.ended.Go(func() { client.read(out) })
	return client, nil
}

func (c *Client) read(out io.Reader) {
	defer close(c.lines)
	for s := bufio.NewScanner(out); s.Scan(); {
		select {
		case c.lines <- s.Text():
		default: // nobody looks
		}
	}
}

// Tell has the client do something: "update", "battery 70", "send SENML_CBOR", "stop".
func (c *Client) Tell(line string) error {
	_, err := fmt.Fprintln(c.in, line)
	return err
}

// Hear waits until the client says something that begins so, and returns that line.
func (c *Client) Hear(ctx context.Context, prefix string) (string, error) {
	var heard []string
	for {
		select {
		case line, ok := <-c.lines:
			if !ok {
				return "", fmt.Errorf("wait for %q of Leshan's client: it has ended after %q: %s", prefix, heard, c.errors.String())
			}
			if strings.HasPrefix(line, prefix) {
				return line, nil
			}
			heard = append(heard, line)
		case <-ctx.Done():
			return "", fmt.Errorf("wait for %q of Leshan's client: %w; it said %q", prefix, ctx.Err(), heard)
		}
	}
}

// Close ends the process, whatever it does.
func (c *Client) Close() {
	_ = c.command.Process.Kill()
	c.ended.Wait()
	_ = c.command.Wait()
}
