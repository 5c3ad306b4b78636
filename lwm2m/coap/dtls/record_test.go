package dtls

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// twoEnds returns the ends of one association, with connection ids of these sizes.
func twoEnds(t testing.TB, s *suite, cidSize int) (device, server *association) {
	t.Helper()
	client, srv, err := s.derive(bytes.Repeat([]byte{1}, 48), make([]byte, 32), make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	device = &association{id: 1, suite: s, dialled: true, out: client, in: srv, sendLimit: unlimited, holdFrom: unlimited}
	server = &association{id: 2, suite: s, out: srv, in: client, sendLimit: unlimited, holdFrom: unlimited, ownCID: cidSize > 0}
	if cidSize > 0 {
		device.peerCID = server.id.bytes()
	}
	return device, server
}

func TestSealAndOpen(t *testing.T) {
	for i := range suites {
		for _, cidSize := range []int{0, idSize} {
			t.Run(fmt.Sprintf("%v, connection id of %d bytes", suites[i].id, cidSize), func(t *testing.T) {
				device, server := twoEnds(t, &suites[i], cidSize)
				for n, payload := range []string{"", "x", strings.Repeat("y", 1000), "ends with zeros\x00\x00"} {
					datagram, _, err := device.seal(nil, typeApplication, []byte(payload))
					if err != nil {
						t.Fatal(err)
					}
					r, rest, ok := nextRecord(datagram, idSize)
					if !ok || len(rest) > 0 || r.sequence != uint64(n) {
						t.Fatalf("record %+v, %d bytes left, %v", r, len(rest), ok)
					}
					o, err := server.open(r, time.Now())
					if err != nil || string(o.payload) != payload || o.kind != typeApplication || !o.newest {
						t.Errorf("opened %+v, %v, want %q", o, err, payload)
					}
				}
			})
		}
	}
}

// TestWindow holds the window against a set of all that was accepted.
func TestWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := window{floor: rapid.Uint64Range(0, 100).Draw(t, "floor")}
		w.next = w.floor
		accepted, highest := map[uint64]bool{}, int64(-1)
		for range rapid.IntRange(1, 200).Draw(t, "records") {
			s := rapid.Uint64Range(0, 300).Draw(t, "sequence")
			top := max(highest+1, int64(w.floor))
			want := s >= w.floor && !accepted[s] && (int64(s) >= top || top-1-int64(s) < 64)
			if got := w.fresh(s); got != want {
				t.Fatalf("fresh(%d) = %v, want %v; %+v", s, got, want, w)
			}
			if want {
				if newest := w.accept(s); newest != (int64(s) >= top) {
					t.Fatalf("accept(%d) = %v", s, newest)
				}
				accepted[s], highest = true, max(highest, int64(s))
			}
		}
	})
}

func TestOrder(t *testing.T) {
	var active, asleep order
	list := make([]association, 20)
	var model [2][]int
	random := rand.New(rand.NewPCG(5, 6))
	for range 2000 {
		i, to := random.IntN(len(list)), random.IntN(2)
		for m := range model {
			model[m] = without(model[m], i)
		}
		model[to] = append(model[to], i)
		[]*order{&active, &asleep}[to].promote(&list[i])
		for m, o := range []*order{&active, &asleep} {
			var got []int
			for a := o.oldest; a != nil; a = a.newer {
				for j := range list {
					if &list[j] == a {
						got = append(got, j)
					}
				}
			}
			if diff := cmp.Diff(got, model[m]); len(got)+len(model[m]) > 0 && diff != "" || o.length != len(got) {
				t.Fatalf("list %d, length %d: %s", m, o.length, diff)
			}
		}
	}
}

func without(list []int, gone int) (kept []int) {
	for _, n := range list {
		if n != gone {
			kept = append(kept, n)
		}
	}
	return kept
}

// discard is a socket that loses everything.
type discard struct{}

func (discard) ReadFromUDPAddrPort([]byte) (int, netip.AddrPort, error)    { select {} }
func (discard) WriteToUDPAddrPort(b []byte, _ netip.AddrPort) (int, error) { return len(b), nil }
func (discard) Close() error                                               { return nil }

// FuzzDatagram throws datagrams at an association's address; only what its keys sealed is accepted.
func FuzzDatagram(f *testing.F) {
	device, _ := twoEnds(f, &suites[8], idSize)
	sealed, _, _ := device.seal(nil, typeApplication, []byte("x"))
	f.Add(sealed)
	f.Add(append(bytes.Clone(sealed), sealed...))
	f.Add(hello(f, version10)[:60])
	f.Fuzz(func(t *testing.T, datagram []byte) {
		transport, err := New(discard{}, Config{})
		if err != nil {
			t.Fatal(err)
		}
		_, server := twoEnds(t, &suites[8], idSize)
		server.addr = netip.MustParseAddrPort("192.0.2.1:5684")
		transport.table.add(server, time.Now(), 1, 1)
		transport.datagram(bytes.Clone(datagram), server.addr) // which is decrypted in place
		if server.window.next > 0 && !bytes.Contains(datagram, sealed) {
			t.Errorf("%x was accepted", datagram)
		}
	})
}

// TestTshark has Wireshark's decoder read what goes over the wire, with the key.
func TestTshark(t *testing.T) {
	tshark := program(t, "tshark")
	server, device, nat := talk(t, Config{})
	works(t, server, device, nat)
	_ = device.ClosePeer(device.dial(nat.addr()))
	server.await("close_notify", func() bool { return len(server.lost) == 1 })
	capture := []byte{0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 101, 0, 0, 0} // raw IP
	up, down := nat.sent(), nat.received()
	for i := range max(len(up), len(down)) {
		if i < len(up) {
			capture = appendPacket(capture, up[i], 40000, 5684)
		}
		if i < len(down) {
			capture = appendPacket(capture, down[i], 5684, 40000)
		}
	}
	file := filepath.Join(t.TempDir(), "dtls.pcap")
	if err := os.WriteFile(file, capture, 0o600); err != nil {
		t.Fatal(err)
	}
	out := run(t, nil, tshark, "-r", file, "-d", "udp.port==5684,dtls", "-V", "-o", fmt.Sprintf("dtls.psk:%x", testKeys["alice"]))
	for _, want := range []string{"Handshake Type: Hello Verify Request", "Extension: connection_id", "Special Type: Connection ID (25)", "Description: Close Notify (0)"} {
		if !strings.Contains(out, want) {
			t.Errorf("not seen: %s", want)
		}
	}
	if n := strings.Count(out, "[Application Data Protocol: Constrained Application Protocol]"); n != 3 {
		t.Errorf("%d records were decrypted, want 3", n)
	}
	if strings.Contains(out, "Malformed Packet: DTLS") { // what we said is no CoAP, but that is not for this test to say
		t.Errorf("malformed:\n%s", out)
	}
}

// appendPacket appends a datagram to a capture, as UDP in IPv4.
func appendPacket(capture, datagram []byte, from, to uint16) []byte {
	size := 28 + len(datagram)
	capture = append(capture, make([]byte, 8)...)
	capture = binary.LittleEndian.AppendUint32(capture, uint32(size))
	capture = binary.LittleEndian.AppendUint32(capture, uint32(size))
	capture = append(capture, 0x45, 0, byte(size>>8), byte(size), 0, 0, 0, 0, 64, 17, 0, 0, 127, 0, 0, byte(from>>8), 127, 0, 0, byte(to>>8))
	for _, field := range []uint16{from, to, uint16(size - 20), 0} {
		capture = binary.BigEndian.AppendUint16(capture, field)
	}
	return append(capture, datagram...)
}
