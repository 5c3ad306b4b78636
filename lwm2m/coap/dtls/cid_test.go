package dtls

import (
	"context"
	"net"
	"testing"
	"time"

	pion "github.com/pion/dtls/v3"
)

// TestPeerWithConnectionID: a device may want a connection id in what it gets, of any length. Our last flight then travels in
// records of type 25, and is kept for a device that has not heard it as any other is.
func TestPeerWithConnectionID(t *testing.T) {
	for _, size := range []int{1, 4, 20} {
		server := start(t, Config{PSK: testPSK})
		server.echo.Store(true)
		nat := startRelay(t, server.addr)
		lost := false
		nat.lossy(func(up bool, datagram []byte) bool { // our Finished, once
			if up || lost || !hasCIDRecord(datagram) {
				return false
			}
			lost = true
			return true
		})
		socket := listen(t, "127.0.0.1:0")
		defer socket.Close()
		device, err := pion.ClientWithOptions(socket, net.UDPAddrFromAddrPort(nat.addr()),
			pion.WithCipherSuites(pion.TLS_PSK_WITH_AES_128_CCM_8),
			pion.WithConnectionIDGenerator(pion.RandomCIDGenerator(size)),
			pion.WithPSK(func([]byte) ([]byte, error) { return testKeys["alice"], nil }), pion.WithPSKIdentityHint([]byte("alice")),
			pion.WithFlightInterval(300*time.Millisecond))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := device.HandshakeContext(ctx); err != nil {
			t.Fatalf("id of %d bytes: %v", size, err)
		}
		if _, err := device.Write([]byte("up")); err != nil {
			t.Fatal(err)
		}
		_ = device.SetReadDeadline(time.Now().Add(time.Minute))
		b := make([]byte, 100)
		n, err := device.Read(b)
		if err != nil || string(b[:n]) != "up" {
			t.Errorf("id of %d bytes: answer %q, %v", size, b[:n], err)
		}
		_ = device.Close()
	}
}

// hasCIDRecord reports whether a datagram of a server's is or ends with a record of type 25.
func hasCIDRecord(datagram []byte) bool {
	for len(datagram) > headerSize && datagram[0] != typeCID {
		_, rest, ok := nextRecord(datagram, 0)
		if !ok {
			return false
		}
		datagram = rest
	}
	return len(datagram) > headerSize
}
