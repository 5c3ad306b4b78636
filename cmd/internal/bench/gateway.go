package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
	"github.com/edgehold/edgehold/lwm2m/fleet"
	"github.com/edgehold/edgehold/lwm2m/server"
	devicestore "github.com/edgehold/edgehold/lwm2m/store"
)

// The LwM2M server that is measured runs in a process of its own, so that the devices' work is not counted as its own. It
// obeys one command for a line, and answers with one.
const gatewayVariable = "EDGEHOLD_BENCH_GATEWAY" // "DIRECTORY ADDRESS"

// gatewayChild is the child's side.
func gatewayChild() {
	arguments := os.Getenv(gatewayVariable)
	if arguments == "" {
		return
	}
	var dir, addr string
	if _, err := fmt.Sscan(arguments, &dir, &addr); err != nil {
		gatewayFailed(err)
	}
	if err := serveGateway(dir, addr); err != nil {
		gatewayFailed(err)
	}
	os.Exit(0)
}

func gatewayFailed(err error) {
	fmt.Fprintln(os.Stderr, "bench: the gateway's process:", err)
	os.Exit(1)
}

func serveGateway(dir, addr string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	disk, _, err := devicestore.Open(dir, devicestore.Options{})
	if err != nil {
		return err
	}
	udp, err := coap.ListenUDP(ctx, coap.UDPConfig{Addresses: []string{addr}, Buffer: 8 << 20})
	if err != nil {
		return err
	}
	first, err := lwm2m.ParsePath("/3/0/0")
	if err != nil {
		return err
	}
	s, err := server.New(server.Config{
		Transports: []coap.Transport{udp}, Store: disk, Authorise: server.Bound("sim-*"), FirstReads: []lwm2m.Path{first},
		Limits: server.Limits{Registrations: 1e6, FollowUps: 1e6},
	})
	if err != nil {
		return err
	}
	var running sync.WaitGroup
	running.Go(func() { _ = s.Run(ctx) })
	running.Go(func() { _ = disk.Run(ctx) })
	defer running.Wait()
	defer cancel()
	fmt.Println(udp.Addresses()[0], s.Len())
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		if err := obey(ctx, s, disk, lines.Text()); err != nil {
			return err
		}
	}
	return nil
}

func obey(ctx context.Context, s *server.Server, disk *devicestore.Store, command string) error {
	switch command {
	case "usage":
		rss, err := memoryField("Rss")
		if err != nil {
			return err
		}
		fmt.Println(rss, int64(cpuTime()))
	case "flush":
		if err := disk.Flush(); err != nil {
			return err
		}
		fmt.Println(s.Len())
	case "read":
		p99, err := readsP99(ctx, s)
		if err != nil {
			return err
		}
		fmt.Println(int64(p99))
	case "observe":
		fmt.Println(observeAll(ctx, s))
	default:
		return errors.New("no such command: " + command)
	}
	return nil
}

// readsP99 reads one resource of every device, a few at a time.
func readsP99(ctx context.Context, s *server.Server) (time.Duration, error) {
	path, err := lwm2m.ParsePath("/3303/0/5700")
	if err != nil {
		return 0, err
	}
	var names []string
	for r := range s.Devices() {
		names = append(names, r.Endpoint)
	}
	return roundTrips(names, func(name string) error {
		_, err := s.Read(ctx, name, path)
		return err
	})
}

// roundTrips times a request to each of these devices, a few at a time, and returns the 99th percentile.
func roundTrips(names []string, request func(name string) error) (time.Duration, error) {
	const rounds, workers = 4, 4
	turns := make(chan string, rounds*len(names))
	for range rounds {
		for _, name := range names {
			turns <- name
		}
	}
	close(turns)
	var mu sync.Mutex
	var times fleet.Histogram
	var failed error
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for name := range turns {
				begin := time.Now()
				err := request(name)
				mu.Lock()
				times.Add(time.Since(begin))
				failed = errors.Join(failed, err)
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	group.Wait()
	return times.Quantile(0.99), failed
}

// observeAll observes one resource of every device, and returns of how many.
func observeAll(ctx context.Context, s *server.Server) int {
	path, err := lwm2m.ParsePath("/3303/0/5700")
	if err != nil {
		return 0
	}
	names := make(chan string, 1024)
	var group sync.WaitGroup
	var mu sync.Mutex
	n := 0
	for range 256 {
		group.Go(func() {
			for name := range names {
				if _, _, err := s.Observe(ctx, name, path); err == nil {
					mu.Lock()
					n++
					mu.Unlock()
				}
			}
		})
	}
	for r := range s.Devices() {
		names <- r.Endpoint
	}
	close(names)
	group.Wait()
	return n
}

// gatewayProcess is the parent's side.
type gatewayProcess struct {
	addr    netip.AddrPort
	devices int // that it knew when it began to serve
	process *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
}

func startGateway(ctx context.Context, dir, addr string) (*gatewayProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	g := &gatewayProcess{process: exec.CommandContext(ctx, self)}
	g.process.Env = append(os.Environ(), gatewayVariable+"="+dir+" "+addr)
	g.process.Stderr = os.Stderr
	if g.in, err = g.process.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := g.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	g.out = bufio.NewReader(out)
	if err := g.process.Start(); err != nil {
		return nil, err
	}
	line, err := g.out.ReadString('\n')
	if err != nil {
		g.kill()
		return nil, fmt.Errorf("start the gateway: %w", err)
	}
	text, count, _ := strings.Cut(strings.TrimSpace(line), " ")
	if g.addr, err = netip.ParseAddrPort(text); err == nil {
		_, err = fmt.Sscan(count, &g.devices)
	}
	return g, err
}

// ask sends a command and scans the answer.
func (g *gatewayProcess) ask(command string, answer ...any) error {
	if _, err := fmt.Fprintln(g.in, command); err != nil {
		return err
	}
	line, err := g.out.ReadString('\n')
	if err != nil {
		return fmt.Errorf("ask the gateway for %s: %w", command, err)
	}
	_, err = fmt.Sscan(line, answer...)
	return err
}

func (g *gatewayProcess) usage() (bytes int64, cpu time.Duration, err error) {
	err = g.ask("usage", &bytes, &cpu)
	return bytes, cpu, err
}

// kill ends the process as a crash would.
func (g *gatewayProcess) kill() {
	_ = g.process.Process.Kill()
	_ = g.process.Wait()
}
