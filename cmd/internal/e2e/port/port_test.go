package port

import (
	"net"
	"testing"
)

func TestAddressesAreOnesOwn(t *testing.T) {
	seen := map[string]bool{}
	for range 200 {
		address := Address(t)
		if seen[address] {
			t.Fatalf("%s is given twice", address)
		}
		seen[address] = true
	}
}

// A program that listens there, ends and listens again finds its address free, by both transports.
func TestAddressCanBeListenedAtAgain(t *testing.T) {
	address := Address(t)
	for range 2 {
		tcp, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		udp, err := net.ListenPacket("udp", address)
		if err != nil {
			t.Fatal(err)
		}
		tcp.Close()
		udp.Close()
	}
}

func TestAddressThatIsInUseIsNotGiven(t *testing.T) {
	for range 50 {
		udp, err := net.ListenPacket("udp", Address(t))
		if err != nil {
			t.Fatal(err)
		}
		defer udp.Close()
		if free(udp.LocalAddr().String()) == nil {
			t.Errorf("%s is taken for free", udp.LocalAddr())
		}
	}
}
