package client

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
	"github.com/edgehold/edgehold/lwm2m/codec"
)

// composite is the payload of a FETCH.
func composite(t *testing.T, paths ...string) string {
	t.Helper()
	var list []lwm2m.Path
	for _, p := range paths {
		list = append(list, lwm2m.MustParsePath(p))
	}
	payload, err := codec.AppendPaths(nil, lwm2m.FormatSenMLJSON, list)
	if err != nil {
		t.Fatal(err)
	}
	return string(payload)
}

func TestRequests(t *testing.T) {
	const json = lwm2m.FormatSenMLJSON
	paths := composite(t, "/3303/0/5700", "/3303/0/9999", "/3303/0/5702/4")
	tests := []struct {
		name    string
		request *coap.Message
		code    coap.Code
		payload string // "" for whatever
	}{
		{"read a value", say(coap.GET, "/3303/0/5700"), coap.Content, "20"},
		{"read a value as JSON", accepting(say(coap.GET, "/3303/0/5700"), json), coap.Content, `[{"bn":"/3303/0/5700","v":20}]`},
		{"read a resource instance", say(coap.GET, "/3303/0/5702/4"), coap.Content, "40"},
		{"read a multiple resource", accepting(say(coap.GET, "/3303/0/5702"), json), coap.Content, `[{"bn":"/3303/0/5702/","n":"1","v":10},{"n":"4","v":40}]`},
		{"read what is not there", say(coap.GET, "/3303/0/1234"), coap.NotFound, ""},
		{"read no instance", say(coap.GET, "/3303/7"), coap.NotFound, ""},
		{"read no object", say(coap.GET, "/9999"), coap.NotFound, ""},
		{"read a missing resource instance", say(coap.GET, "/3303/0/5702/2"), coap.NotFound, ""},
		{"read an instance of a single resource", say(coap.GET, "/3303/0/5700/0"), coap.NotFound, ""},
		{"read an executable", say(coap.GET, "/3303/0/5605"), coap.MethodNotAllowed, ""},
		{"read what is written only", say(coap.GET, "/3303/0/1"), coap.MethodNotAllowed, ""},
		{"read the security object", say(coap.GET, "/0"), coap.Unauthorized, ""},
		{"read a key", say(coap.GET, "/0/0/5"), coap.Unauthorized, ""},
		{"read the device", say(coap.GET, "/"), coap.MethodNotAllowed, ""},
		{"read no path", say(coap.GET, "/rd/x"), coap.NotFound, ""},
		{"read a list as text", accepting(say(coap.GET, "/3303/0/5702"), lwm2m.FormatText), coap.NotAcceptable, ""},
		{"read in an unknown format", accepting(say(coap.GET, "/3303/0"), 9999), coap.NotAcceptable, ""},
		{"read an empty object", accepting(say(coap.GET, "/35001"), json), coap.Content, ""},

		{"write a text", with(say(coap.PUT, "/3303/0/5701"), lwm2m.FormatText, "lux"), coap.Changed, ""},
		{"write a text without a format", &coap.Message{Code: coap.PUT, Options: say(coap.PUT, "/3303/0/5701").Options, Payload: []byte("lux")}, coap.Changed, ""},
		{"write an instance", with(say(coap.POST, "/3303/0"), json, `[{"bn":"/3303/0/5701","vs":"lux"}]`), coap.Changed, ""},
		{"write what is read only", with(say(coap.PUT, "/3303/0/5700"), lwm2m.FormatText, "1"), coap.MethodNotAllowed, ""},
		{"write what is read only in an instance", with(say(coap.POST, "/3303/0"), json, `[{"bn":"/3303/0/5700","v":1}]`), coap.MethodNotAllowed, ""},
		{"write beside the target", with(say(coap.POST, "/3303/0"), json, `[{"bn":"/1/0/1","v":1}]`), coap.BadRequest, ""},
		{"write the wrong kind", with(say(coap.PUT, "/1/0/1"), lwm2m.FormatText, "long"), coap.BadRequest, ""},
		{"write in an unknown format", with(say(coap.PUT, "/3303/0/5701"), 9999, "x"), coap.UnsupportedFormat, ""},
		{"write an object", with(say(coap.PUT, "/3303"), json, "[]"), coap.MethodNotAllowed, ""},
		{"write to no instance", with(say(coap.PUT, "/3303/1/5701"), lwm2m.FormatText, "x"), coap.NotFound, ""},
		{"write what the object cannot take", with(say(coap.PUT, "/3303/0/5701"), lwm2m.FormatText, "broken"), coap.InternalServerError, ""},
		{"write a lifetime out of range", with(say(coap.PUT, "/1/0/1"), lwm2m.FormatText, "-1"), coap.BadRequest, ""},
		{"write the security object", with(say(coap.PUT, "/0/0/0"), lwm2m.FormatText, "coap://evil"), coap.Unauthorized, ""},
		{"write too much", with(say(coap.PUT, "/3303/0/5701"), lwm2m.FormatText, string(make([]byte, 1<<15))), coap.EntityTooLarge, ""},

		{"execute", say(coap.POST, "/3303/0/5605"), coap.Changed, ""},
		{"execute what is not executable", say(coap.POST, "/3303/0/5700"), coap.MethodNotAllowed, ""},
		{"execute with too much", with(say(coap.POST, "/3303/0/5605"), lwm2m.FormatText, string(make([]byte, 300))), coap.EntityTooLarge, ""},
		{"execute nothing", say(coap.POST, "/3303/0/7"), coap.NotFound, ""},
		{"execute bootstrap without a server", say(coap.POST, "/1/0/9"), coap.MethodNotAllowed, ""},

		{"create", with(say(coap.POST, "/35001"), json, `[{"bn":"/35001/3/27200","vs":"a"}]`), coap.Created, ""},
		{"create with what is mandatory missing", with(say(coap.POST, "/35001"), json, `[{"bn":"/35001/3/27201","vs":"a"}]`), coap.BadRequest, ""},
		{"create two", with(say(coap.POST, "/35001"), json, `[{"n":"/35001/3/27200","vs":"a"},{"n":"/35001/4/27200","vs":"a"}]`), coap.BadRequest, ""},
		{"create where nobody can", with(say(coap.POST, "/3303"), json, `[{"bn":"/3303/3/5701","vs":"a"}]`), coap.MethodNotAllowed, ""},
		{"delete where nobody can", say(coap.DELETE, "/3303/0"), coap.MethodNotAllowed, ""},
		{"delete an object", say(coap.DELETE, "/35001"), coap.MethodNotAllowed, ""},
		{"delete no instance", say(coap.DELETE, "/35001/9"), coap.NotFound, ""},

		{"discover an object", accepting(say(coap.GET, "/3303"), lwm2m.FormatLinks), coap.Content, `</3303>;ver=1.1,</3303/0>,</3303/0/1>,</3303/0/5500>,</3303/0/5602>,</3303/0/5605>,</3303/0/5700>,</3303/0/5701>,</3303/0/5702>;dim=2`},
		{"discover less deep", accepting(say(coap.GET, "/3303", "depth=1"), lwm2m.FormatLinks), coap.Content, `</3303>;ver=1.1,</3303/0>`},
		{"discover a resource", accepting(say(coap.GET, "/3303/0/5702"), lwm2m.FormatLinks), coap.Content, `</3303/0/5702>;dim=2,</3303/0/5702/1>,</3303/0/5702/4>`},
		{"discover a resource instance", accepting(say(coap.GET, "/3303/0/5702/4"), lwm2m.FormatLinks), coap.Content, `</3303/0/5702/4>`},
		{"discover the security object", accepting(say(coap.GET, "/0"), lwm2m.FormatLinks), coap.Unauthorized, ""},
		{"discover too deep", accepting(say(coap.GET, "/3303", "depth=9"), lwm2m.FormatLinks), coap.BadRequest, ""},

		{"attributes", say(coap.PUT, "/3303/0/5700", "pmin=1", "gt=30"), coap.Changed, ""},
		{"attributes of an object", say(coap.PUT, "/3303", "pmax=60"), coap.Changed, ""},
		{"threshold of an object", say(coap.PUT, "/3303", "gt=60"), coap.BadRequest, ""},
		{"threshold of a text", say(coap.PUT, "/3303/0/5701", "gt=60"), coap.BadRequest, ""},
		{"threshold of a list", say(coap.PUT, "/3303/0/5702", "gt=60"), coap.BadRequest, ""},
		{"threshold of a list's instance", say(coap.PUT, "/3303/0/5702/4", "gt=60"), coap.Changed, ""},
		{"edge of a number", say(coap.PUT, "/3303/0/5700", "edge=1"), coap.BadRequest, ""},
		{"no attribute", say(coap.PUT, "/3303/0/5700", "evil=1"), coap.BadRequest, ""},
		{"bands that overlap", say(coap.PUT, "/3303/0/5700", "lt=10", "gt=12", "st=1"), coap.BadRequest, ""},
		{"attributes of what is not there", say(coap.PUT, "/3303/0/77", "pmin=1"), coap.NotFound, ""},
		{"attributes of the security object", say(coap.PUT, "/0/0/0", "pmin=1"), coap.Unauthorized, ""},

		{"read several", accepting(with(say(coap.FETCH, "/"), json, paths), json), coap.Content, `[{"n":"/3303/0/5700","v":20},{"n":"/3303/0/5702/4","v":40}]`},
		{"read several, one of them secret", with(say(coap.FETCH, "/"), json, composite(t, "/0/0/5")), coap.Unauthorized, ""},
		{"read several as text", with(say(coap.FETCH, "/"), lwm2m.FormatText, "x"), coap.UnsupportedFormat, ""},
		{"read several, garbage", with(say(coap.FETCH, "/"), json, "x"), coap.BadRequest, ""},
		{"fetch below the root", with(say(coap.FETCH, "/3303"), json, paths), coap.MethodNotAllowed, ""},
		{"write several", with(say(coap.IPATCH, "/"), json, `[{"n":"/3303/0/5701","vs":"x"},{"n":"/1/0/6","vb":false}]`), coap.Changed, ""},
		{"write several, one of them missing", with(say(coap.IPATCH, "/"), json, `[{"n":"/3303/0/5701","vs":"x"},{"n":"/1/0/77","vb":false}]`), coap.NotFound, ""},
		{"write several, one of them secret", with(say(coap.IPATCH, "/"), json, `[{"n":"/0/0/0","vs":"coap://evil"}]`), coap.Unauthorized, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := startDevice(t, nil)
				synctest.Wait()
				reply := d.network.ask(tt.request)
				if reply.Code != tt.code {
					t.Fatalf("%s: %s %q, want %s", describe(tt.request), reply.Code, reply.Payload, tt.code)
				}
				if diff := cmp.Diff(string(reply.Payload), tt.payload); tt.payload != "" && diff != "" {
					t.Errorf("got -, want +:\n%s", diff)
				}
			})
		})
	}
}

func TestCreatedInstanceIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := startDevice(t, nil)
		synctest.Wait()
		d.network.take()
		reply := d.network.ask(with(say(coap.POST, "/35001"), lwm2m.FormatSenMLJSON, `[{"n":"/35001/3/27200","vs":"a"}]`))
		if reply.Code != coap.Created || reply.Location() != "/35001/3" {
			t.Fatalf("%s %s", reply.Code, reply.Location())
		}
		wait(settleObjects * 2)
		if diff := cmp.Diff(d.network.take(), []string{"POST /rd/1"}); diff != "" {
			t.Errorf("got -, want +:\n%s", diff)
		}
		if reply := d.network.ask(say(coap.DELETE, "/35001/3")); reply.Code != coap.Deleted {
			t.Errorf("delete: %s", reply.Code)
		}
	})
}

func TestDeviceChoosesTheNumber(t *testing.T) {
	resource := lwm2m.Tree{{Path: lwm2m.PathOf(35001, lwm2m.NoID, 27200), Value: lwm2m.String("a")}}
	payload, err := codec.Append(nil, lwm2m.FormatTLV, lwm2m.PathOf(35001, lwm2m.NoID), resource)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		d := startDevice(t, nil)
		synctest.Wait()
		for i, want := range []string{"/35001/0", "/35001/1"} {
			reply := d.network.ask(with(say(coap.POST, "/35001"), lwm2m.FormatTLV, string(payload)))
			if reply.Code != coap.Created || reply.Location() != want {
				t.Errorf("creation %d: %s %s %s, want %s", i, reply.Code, reply.Location(), reply.Payload, want)
			}
		}
	})
}

func TestObservingAgainGoesOnCounting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := startDevice(t, nil)
		synctest.Wait()
		m := observing(say(coap.GET, "/3303/0/5700"))
		d.network.ask(m)
		for n := range 3 {
			d.gauge.set(float64(n))
			wait(time.Second)
		}
		before, _ := d.network.notes[2].Uint(coap.Observe)
		after, _ := d.network.ask(m).Uint(coap.Observe)
		if after != before+1 {
			t.Errorf("observes again with sequence %d after %d", after, before)
		}
	})
}

func TestWhatIsInsideStaysInside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := startDevice(t, nil)
		synctest.Wait()
		reply := d.network.ask(with(say(coap.PUT, "/3303/0/5701"), lwm2m.FormatText, "broken"))
		if len(reply.Payload) > 0 {
			t.Errorf("an error inside is told to the server: %q", reply.Payload)
		}
	})
}
