//go:build linux

package leshan

import (
	"bufio"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"os"
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
	Models    []string // files with definitions of objects; 9, 19, 35001 and 35002 are there if they are among them
	Identity  string   // of PSK; empty: no security
	Key       []byte
}

// Process is a client or a server that runs.
type Process struct {
	command *exec.Cmd
	in      io.WriteCloser
	errors  strings.Builder
	lines   chan string
	ended   sync.WaitGroup
}

// Start starts a client, which registers by itself.
func Start(c Config) (*Process, error) {
	path, err := classpath(clientProgram)
	if err != nil {
		return nil, err
	}
	role := "server"
	if c.Bootstrap {
		role = "bootstrap"
	}
	arguments := []string{c.Endpoint, c.URI, fmt.Sprint(int(c.Lifetime.Seconds())), strings.Join(c.Models, string(os.PathListSeparator)), role}
	if c.Identity != "" {
		arguments = append(arguments, c.Identity, hex.EncodeToString(c.Key))
	}
	return launch(path, "Peer", arguments)
}

// launch starts a class as a process that ends with this one.
func launch(path, class string, arguments []string) (*Process, error) {
	p := &Process{command: exec.Command("java", append([]string{"-Xmx128m", "-cp", path, class}, arguments...)...), lines: make(chan string, 1024)}
	p.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p.command.Stderr = &p.errors
	var err error
	if p.in, err = p.command.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	p.ended.Go(func() { p.read(out) })
	return p, nil
}

func (c *Process) read(out io.Reader) {
	defer close(c.lines)
	for s := bufio.NewScanner(out); s.Scan(); {
		select {
		case c.lines <- s.Text():
		default: // nobody looks
		}
	}
}

// Tell has it do something: "update", "battery 70", "send SENML_CBOR", "stop".
func (c *Process) Tell(line string) error {
	_, err := fmt.Fprintln(c.in, line)
	return err
}

// Hear waits until it says something that begins so, and returns that line.
func (c *Process) Hear(ctx context.Context, prefix string) (string, error) {
	var heard []string
	for {
		select {
		case line, ok := <-c.lines:
			if !ok {
				return "", fmt.Errorf("wait for %q of Leshan's program: it has ended after %q: %s", prefix, heard, c.errors.String())
			}
			if strings.HasPrefix(line, prefix) {
				return line, nil
			}
			heard = append(heard, line)
		case <-ctx.Done():
			return "", fmt.Errorf("wait for %q of Leshan's program: %w; it said %q", prefix, ctx.Err(), heard)
		}
	}
}

// Close ends the process, whatever it does.
func (c *Process) Close() {
	_ = c.command.Process.Kill()
	c.ended.Wait()
	_ = c.command.Wait()
}
