package coap

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// capture is a file that tshark reads: datagrams between two hosts, each as an IPv4 packet (libpcap's LINKTYPE_RAW).
type capture struct{ data []byte }

func newCapture() *capture {
	header := []uint32{0xa1b2c3d4, 2 | 4<<16, 0, 0, 65535, 101}
	c := new(capture)
	for _, word := range header {
		c.data = binary.LittleEndian.AppendUint32(c.data, word)
	}
	return c
}

func (c *capture) add(fromServer bool, datagram []byte) {
	from, to := uint16(40000), uint16(5683)
	if fromServer {
		from, to = to, from
	}
	length := 28 + len(datagram)
	ip := []byte{0x45, 0, byte(length >> 8), byte(length), 0, 0, 0, 0, 64, 17, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1}
	for _, word := range []uint32{uint32(len(c.data)), 0, uint32(length), uint32(length)} {
		c.data = binary.LittleEndian.AppendUint32(c.data, word)
	}
	c.data = append(c.data, ip...)
	for _, word := range []uint16{from, to, uint16(8 + len(datagram)), 0} {
		c.data = binary.BigEndian.AppendUint16(c.data, word)
	}
	c.data = append(c.data, datagram...)
}

func TestTsharkReadsWhatWeSend(t *testing.T) {
	tshark := program(t, "tshark", "")
	file := newCapture()
	var want []string
	add := func(fromServer bool, line string, m *Message) {
		t.Helper()
		datagram, err := appendDatagram(nil, m)
		if err != nil {
			t.Fatal(err)
		}
		file.add(fromServer, datagram)
		want = append(want, line)
	}
	register := request(POST, "/rd")
	register.ID, register.Token, register.Payload = 1, TokenOf([]byte("12345678")), []byte("</1/0>,</3/0>")
	register.SetUint(ContentFormat, 40)
	for _, q := range []string{"ep=urn:imei:490154203237518", "lt=86400", "lwm2m=1.1", "b=U"} {
		register.AddQuery(q)
	}
	add(false, "0|2|1|3132333435363738|rd|ep=urn:imei:490154203237518,lt=86400,lwm2m=1.1,b=U|||", register)
	created := &Message{Type: Acknowledgement, Code: Created, ID: 1, Token: register.Token}
	created.SetLocation("/rd/5a3f")
	add(true, "2|65|1|3132333435363738|||||rd,5a3f", created)
	observe := request(GET, "/3/0/13").with(Observe, 0)
	observe.ID, observe.Token = 2, TokenOf([]byte{1})
	observe.SetUint(Accept, 11542)
	add(true, "0|1|2|01|3,0,13||0||", observe)
	put := request(PUT, "/9/0/2")
	put.Payload = sample(3000)
	part := put.part(block{number: 17, more: true, exponent: 6}, put.Payload[:1024], false)
	part.ID = 3
	add(true, "0|3|3||9,0,2|||17|", part)
	notification := &Message{Type: NonConfirmable, Code: Content, ID: 4, Token: TokenOf([]byte{2}), Payload: []byte("x")}
	notification.SetUint(Observe, 70000)
	notification.SetUint(Block2, block{number: 0, more: true, exponent: 2}.value())
	add(false, "1|69|4|02|||70000|0|", notification)
	add(true, "3|0|4||||||", &Message{Type: Reset, ID: 4})
	challenge := &Message{Type: Acknowledgement, Code: Unauthorized, ID: 5}
	challenge.SetOpaque(Echo, []byte("0123456789ab"))
	add(true, "2|129|5||||||", challenge)
	path := filepath.Join(t.TempDir(), "coap.pcap")
	if err := os.WriteFile(path, file.data, 0o600); err != nil {
		t.Fatal(err)
	}
	arguments := []string{"-r", path, "-T", "fields", "-E", "separator=|"}
	for _, field := range []string{"type", "code", "mid", "token", "opt.uri_path", "opt.uri_query", "opt.observe", "opt.block_number", "opt.location_path"} {
		arguments = append(arguments, "-e", "coap."+field)
	}
	got := strings.Split(run(t, tshark, arguments...), "\n")
	for i, line := range want {
		if i >= len(got) || got[i] != line {
			t.Errorf("message %d is read as %q, not as %q", i, got[min(i, len(got)-1)], line)
		}
	}
	// This tshark does not know the Echo option of RFC 9175, which the last message has.
	if out := run(t, tshark, "-r", path, "-Y", "_ws.malformed && !(coap.code == 129)"); strings.Contains(out, "CoAP") {
		t.Errorf("malformed: %s", out)
	}
}
