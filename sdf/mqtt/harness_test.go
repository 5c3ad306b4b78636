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

// patience is how long a test waits for what has to come: machines are slow at times.
const patience = 2 * time.Minute

func dial(t testing.TB, config DialConfig) *Connection {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := Dial(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// startMosquitto runs Debian's broker on a socket, which nobody else can have taken meanwhile as a port, or skips the test.
func startMosquitto(t testing.TB) (address string, stop func()) {
	t.Helper()
	address = "unix://" + t.TempDir() + "/m.sock"
	return address, startMosquittoAt(t, address)
}

func startMosquittoAt(t testing.TB, address string, settings ...string) (stop func()) {
	t.Helper()
	path := program(t, "mosquitto")
	socket := strings.TrimPrefix(address, "unix://")
	file := filepath.Join(t.TempDir(), "mosquitto.conf")
	text := fmt.Sprintf("user root\nlistener 0 %s\nallow_anonymous true\npersistence false\n%s\n", socket, strings.Join(settings, "\n"))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-c", file)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	t.Cleanup(stop)
	eventually(t, "listener at "+socket, func() bool {
		c, err := net.Dial("unix", socket)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
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

// eventually polls for what another process or goroutine brings about.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
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
	case <-time.After(patience):
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
