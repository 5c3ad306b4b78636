package mqtt

import (
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Whoever may not use a socket is not sent to look for the broker.
func TestUnreachableSaysWhatToDo(t *testing.T) {
	for _, row := range []struct {
		errno syscall.Errno
		hint  string
	}{{syscall.ECONNREFUSED, "see that the broker runs there"}, {syscall.EACCES, "join that group"}} {
		err := fmt.Errorf("failed to connect: %w", &net.OpError{Op: "dial", Net: "unix", Err: os.NewSyscallError("connect", row.errno)})
		if got := unreachable("unix:///mqtt.sock", err).(*Error); !strings.Contains(got.Hint, row.hint) {
			t.Errorf("%v: it says to do %q", row.errno, got.Hint)
		}
	}
}

// Two clients of one name take the connection from each other: each is told, and neither does so as fast as it can.
func TestTwoOfOneName(t *testing.T) {
	_, address := startBroker(t, BrokerConfig{Listeners: []Listener{{Address: "mqtt://127.0.0.1:0"}}})
	told := make(chan error, 1)
	down := func(err error) {
		if strings.Contains(err.Error(), `another client has connected as "twin"`) {
			select {
			case told <- err:
			default:
			}
		}
	}
	dial(t, DialConfig{Address: address, Name: "twin", Down: down})
	dial(t, DialConfig{Address: address, Name: "twin", Down: down})
	select {
	case <-told:
	case <-time.After(time.Minute):
		t.Error("neither is told")
	}
}

func TestConnectionsThatDoNotLastWait(t *testing.T) {
	c := &Connection{config: DialConfig{Backoff: backoff}}
	breaks := func(age time.Duration) time.Duration {
		c.since = time.Now().Add(-age)
		c.broke()
		return c.wait(0)
	}
	for i, want := range []time.Duration{0, 100 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond} {
		if got := breaks(0); got != want {
			t.Errorf("after %d that did not last: %s, want %s", i+1, got, want)
		}
	}
	if got := c.wait(8); got != 10*time.Second {
		t.Errorf("the ninth attempt in a row waits %s", got)
	}
	if got := breaks(2 * lasting); got != 0 {
		t.Errorf("after one that did: %s", got)
	}
}
