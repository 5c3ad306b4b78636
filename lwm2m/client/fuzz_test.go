package client

import (
	"strings"
	"testing"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
)

// FuzzRequest sends a device whatever a hostile server could: it answers, stays within its bounds, and keeps its keys.
func FuzzRequest(f *testing.F) {
	f.Add(uint8(coap.GET), "/3303/0/5700", "", uint16(0), []byte(nil), uint32(0))
	f.Add(uint8(coap.GET), "/3303", "depth=2", uint16(0), []byte(nil), uint32(40))
	f.Add(uint8(coap.PUT), "/3303/0/5700", "pmin=1&gt=3&st=0.5", uint16(lwm2m.NoFormat), []byte(nil), uint32(0))
	f.Add(uint8(coap.PUT), "/3303/0/5701", "", uint16(0), []byte("text"), uint32(0))
	f.Add(uint8(coap.POST), "/35001", "", uint16(lwm2m.FormatSenMLJSON), []byte(`[{"n":"/35001/3/27200","vs":"a"}]`), uint32(0))
	f.Add(uint8(coap.POST), "/35001", "", uint16(lwm2m.FormatTLV), []byte{0x08, 0x01, 0x00}, uint32(0))
	f.Add(uint8(coap.FETCH), "/", "", uint16(lwm2m.FormatSenMLJSON), []byte(`[{"n":"/0/0/5"},{"n":"/3303"}]`), uint32(112))
	f.Add(uint8(coap.IPATCH), "/", "", uint16(lwm2m.FormatSenMLCBOR), []byte{0x81, 0xa2, 0x00, 0x67, '/', '1', '/', '0', '/', '6', '/', 0x04, 0xf4}, uint32(0))
	f.Add(uint8(coap.DELETE), "/35001/3", "", uint16(0), []byte(nil), uint32(0))
	f.Add(uint8(coap.POST), "/bs", "", uint16(0), []byte(nil), uint32(0))
	const key = "the secret key of the device"
	f.Fuzz(func(t *testing.T, code uint8, path, query string, format uint16, payload []byte, accept uint32) {
		c, err := New(Config{
			Endpoint: "dev", Network: &scripted{}, Objects: []Object{&gauge{}, NewTable(routeDefinition, Rules{})}, Control: true,
			Accounts: []Account{{URI: "coaps://server", Short: 1, Mode: PSK, Identity: "dev", Key: key}},
			Limits:   Limits{Observations: 2, Attributes: 2},
		})
		if err != nil {
			t.Fatal(err)
		}
		c.servers = c.line()
		s := c.servers[0]
		s.become(Registered)
		for range 3 {
			m := &coap.Message{Code: coap.Code(code), Token: coap.TokenOf([]byte(path)), Payload: payload}
			m.SetPath(path)
			for q := range strings.SplitSeq(query, "&") {
				if q != "" {
					m.AddQuery(q)
				}
			}
			if lwm2m.Format(format) != lwm2m.NoFormat {
				m.SetUint(coap.ContentFormat, uint32(format))
			}
			if accept != 0 {
				m.SetUint(coap.Accept, accept)
			}
			m.SetUint(coap.Observe, 0)
			reply := c.answer(s, m)
			if !reply.Code.IsResponse() {
				t.Fatalf("answers %s", reply.Code)
			}
			if strings.Contains(string(reply.Payload), key) && !strings.Contains(string(payload), key) {
				t.Fatalf("tells its key: %q", reply.Payload)
			}
			b := &bootstrapping{client: c, done: make(chan error, 1), busy: make(chan struct{}, 1)}
			c.accounts.staged.Store(true)
			b.Serve(t.Context(), coap.Peer{}, m, reply)
			c.accounts.staged.Store(false)
		}
		if len(s.observations) > 2 || len(s.attributes) > 2 {
			t.Errorf("%d observations, %d attributes", len(s.observations), len(s.attributes))
		}
	})
}
