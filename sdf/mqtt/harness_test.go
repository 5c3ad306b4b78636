package mqtt

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// startBroker runs a broker for the length of the test; one listener at least, on a free port of the loopback.
func startBroker(t testing.TB, config BrokerConfig) (b *Broker, address string) {
	t.Helper()
	if config.Listeners == nil {
		config.Listeners = []Listener{{Address: "mqtt://127.0.0.1:0"}}
	}
	b, err := NewBroker(config)
	if err != nil {
		t.Fatal(err)
	}
	run(t, b.Run)
	return b, "mqtt://" + b.Addresses()[0].String()
}

// run has f run until the end of the test, and waits for it.
func run(t testing.TB, f func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var once sync.Once
	ended := make(chan error, 1)
	go func() { ended <- f(ctx) }()
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

func dial(t testing.TB, config DialConfig) *Connection {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c, err := Dial(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// startMosquitto runs Debian's broker, or skips the test.
func startMosquitto(t testing.TB, settings string) (address string, stop func()) {
	t.Helper()
	address = fmt.Sprintf("mqtt://127.0.0.1:%d", freePort(t))
	return address, startMosquittoAt(t, address, settings)
}

func startMosquittoAt(t testing.TB, address string, settings ...string) (stop func()) {
	t.Helper()
	path := program(t, "mosquitto")
	host, port, _ := strings.Cut(strings.TrimPrefix(address, "mqtt://"), ":")
	file := filepath.Join(t.TempDir(), "mosquitto.conf")
	text := fmt.Sprintf("listener %s %s\nallow_anonymous true\npersistence false\n%s\n", port, host, strings.Join(settings, "\n"))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-c", file)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	t.Cleanup(stop)
	awaitListener(t, host+":"+port)
	return stop
}

// program finds a program of a Debian package; where nothing may be skipped it has to be there.
func program(t testing.TB, name string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("long: talks to " + name)
	}
	for _, path := range []string{name, "/usr/sbin/" + name} {
		if found, err := exec.LookPath(path); err == nil {
			return found
		}
	}
	if os.Getenv("EDGEHOLD_SKIP_NOTHING") != "" {
		t.Fatalf("%s is missing (Debian: mosquitto, mosquitto-clients)", name)
	}
	t.Skipf("%s is missing (Debian: mosquitto, mosquitto-clients)", name)
	return ""
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func awaitListener(t testing.TB, address string) {
	t.Helper()
	eventually(t, "listener at "+address, func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

// eventually polls for what another process or goroutine brings about.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for until := time.Now().Add(15 * time.Second); time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("%s: it did not come about", what)
}

// inbox collects messages.
type inbox chan *Message

func subscribe(t testing.TB, bus Bus, filter string) inbox {
	t.Helper()
	in := make(inbox, 4096)
	cancel, err := bus.Subscribe(t.Context(), filter, func(m *Message) {
		select {
		case in <- m:
		default:
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cancel)
	return in
}

func (in inbox) next(t testing.TB) *Message {
	t.Helper()
	select {
	case m := <-in:
		return m
	case <-time.After(10 * time.Second):
		t.Fatal("no message came")
		return nil
	}
}

func publish(t testing.TB, bus Bus, m Message) {
	t.Helper()
	if err := bus.Publish(t.Context(), &m); err != nil {
		t.Fatal(err)
	}
}
