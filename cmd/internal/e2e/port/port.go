// Package port keeps addresses of the loopback for tests that have to name one before somebody listens there, or whose
// programs come back to one after a kill. It is not how a program gets its address: that listens at port 0 and says where it is.
//
// A port that a test takes from the system, notes and closes may be another's a moment later: the system gives the same
// ports to every socket that wants any. So these lie where the system gives none, and what a test has of them no other test
// of this machine has until the test's end.
package port

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"testing"
)

// lowest is where the ports begin that a test may get; below are those of well-known services.
const lowest = 10_000

// attempts are for machines on which most of these ports are in use.
const attempts = 1000

// Address returns an address of the loopback at which nobody listens, by UDP or by TCP, and which is the test's until it ends.
func Address(t testing.TB) string {
	t.Helper()
	end := systems()
	var refused error
	for range attempts {
		number := lowest + rand.IntN(end-lowest)
		address := fmt.Sprintf("127.0.0.1:%d", number)
		mark, err := net.Listen("unix", fmt.Sprintf("@edgehold-test-port-%d", number)) // a name that goes with the process
		if err != nil {
			refused = err
			continue
		}
		if refused = free(address); refused == nil {
			t.Cleanup(func() { mark.Close() })
			return address
		}
		mark.Close()
	}
	t.Fatalf("find a free port below %d: %v", end, refused)
	return ""
}

// free tells why an address can't be listened at.
func free(address string) error {
	tcp, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	udp, err := net.ListenPacket("udp", address)
	if err != nil {
		return errors.Join(err, tcp.Close())
	}
	return errors.Join(tcp.Close(), udp.Close())
}

// systems is where the ports begin that the system gives to sockets that want any. Where it gives nearly all of them there
// is no better place than among them.
func systems() int {
	const usual, room, end = 32768, 5000, 65536
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return usual
	}
	var first int
	if _, err := fmt.Sscan(string(text), &first); err != nil || first < lowest+room {
		return end
	}
	return first
}
