package client

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
)

func TestStream(t *testing.T) {
	opaque := func(path string) *coap.Message { return with(say(coap.PUT, path), lwm2m.FormatOpaque, "") }
	tests := []struct {
		name    string
		request *coap.Message
		streams bool
	}{
		{"a long resource", opaque("/3303/0/1"), true},
		{"without a format", say(coap.PUT, "/3303/0/1"), true},
		{"as TLV", with(say(coap.PUT, "/3303/0/1"), lwm2m.FormatTLV, ""), false},
		{"a short resource", opaque("/3303/0/5701"), false},
		{"an instance", opaque("/3303/0"), false},
		{"no object", opaque("/77/0/1"), false},
		{"no path", opaque("/rd/x"), false},
		{"another method", with(say(coap.POST, "/3303/0/1"), lwm2m.FormatOpaque, ""), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := startDevice(t, nil)
				synctest.Wait()
				sink := d.network.handler.(coap.Streamer).Sink(coap.Peer{}, tt.request)
				if (sink != nil) != tt.streams {
					t.Fatalf("streams: %v", sink != nil)
				}
				if sink == nil {
					return
				}
				block := func(offset int64, text string, more bool) coap.Code {
					reply := &coap.Message{}
					m := with(tt.request.Clone(), lwm2m.FormatOpaque, text)
					sink.Block(context.Background(), coap.Peer{}, offset, more, m, reply)
					return reply.Code
				}
				for _, step := range []struct {
					offset int64
					text   string
					more   bool
					code   coap.Code
				}{
					{16, "late", true, coap.EntityIncomplete}, {0, "0123456789abcdef", true, 0}, {32, "gap", true, coap.EntityIncomplete},
					{16, "end", false, coap.Changed},
				} {
					if got := block(step.offset, step.text, step.more); got != step.code {
						t.Errorf("block at %d: %s, want %s", step.offset, got, step.code)
					}
				}
				if got := string(d.gauge.got); got != "0123456789abcdefend" {
					t.Errorf("the object got %q", got)
				}
			})
		})
	}
}

func TestShortValueOfALongResource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := startDevice(t, nil)
		synctest.Wait()
		if r := d.network.ask(with(say(coap.PUT, "/3303/0/1"), lwm2m.FormatOpaque, "short")); r.Code != coap.Changed || string(d.gauge.got) != "short" {
			t.Errorf("%s, the object got %q", r.Code, d.gauge.got)
		}
	})
}
