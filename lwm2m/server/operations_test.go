package server

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
	"github.com/edgehold/edgehold/lwm2m/codec"
)

func at(text string) lwm2m.Path { return lwm2m.MustParsePath(text) }

func tree(records ...any) (t lwm2m.Tree) {
	for i := 0; i < len(records); i += 2 {
		t = append(t, lwm2m.Record{Path: at(records[i].(string)), Value: records[i+1].(lwm2m.Value)})
	}
	return t
}

// in encodes a tree as a device would.
func in(t testing.TB, f lwm2m.Format, base string, content lwm2m.Tree) (string, field) {
	t.Helper()
	b, err := codec.Append(nil, f, at(base), content)
	must(t, err)
	return string(b), uintField(optFormat, uint32(f))
}

// What each operation is on the wire (Transport 1.2 §6.4), and what of an answer is given back.
func TestOperations(t *testing.T) {
	tlv, _ := in(t, lwm2m.FormatTLV, "/9", tree("/9/2", lwm2m.Value{}))
	for name, tc := range map[string]struct {
		version string
		request Request
		want    string // on the wire
		payload string // of it, if it matters
		answer  string
		body    string
		options []field
		tree    string
		check   func(t *testing.T, a Answer)
	}{
		"read a resource":          {"1.1", Request{Operation: OpRead, Path: at("/3/0/9")}, "GET /3/0/9 accept=112", "", "2.05", "80", []field{uintField(optFormat, 0)}, "/3/0/9 = 80", nil},
		"read as a 1.0 device":     {"1.0", Request{Operation: OpRead, Path: at("/3/0/9")}, "GET /3/0/9 accept=11542", "", "2.05", "\xc1\x09\x50", []field{uintField(optFormat, 11542)}, "/3/0/9 = 80", nil},
		"read as a 1.2 device":     {"1.2", Request{Operation: OpRead, Path: at("/3/0/9")}, "GET /3/0/9 accept=11544", "", "2.05", "\xbf\x03\xbf\x00\xbf\x09\x18\x50\xff\xff\xff", []field{uintField(optFormat, 11544)}, "/3/0/9 = 80", nil},
		"read an instance":         {"1.1", Request{Operation: OpRead, Path: at("/3/0")}, "GET /3/0 accept=112", "", "2.05", `[{"bn":"/3/0/","n":"0","vs":"Acme"},{"n":"9","v":80}]`, []field{uintField(optFormat, 110)}, `/3/0/0 = "Acme", /3/0/9 = 80`, nil},
		"an answer without format": {"1.0", Request{Operation: OpRead, Path: at("/3/0/9")}, "GET /3/0/9 accept=11542", "", "2.05", "80", nil, "/3/0/9 = 80", nil},
		"the numbers of drafts":    {"1.0", Request{Operation: OpRead, Path: at("/3/0/9")}, "GET /3/0/9 accept=11542", "", "2.05", "80", []field{uintField(optFormat, 1541)}, "/3/0/9 = 80", nil},
		"discover": {"1.1", Request{Operation: OpDiscover, Path: at("/3")}, "GET /3 accept=40", "", "2.05", "</3>;ver=1.1,</3/0>,</3/0/9>;pmin=1;pmax=2", []field{uintField(optFormat, 40)}, "", func(t *testing.T, a Answer) {
			if len(a.Links) != 3 || a.Links[2].Attributes().PMax != 2 {
				t.Errorf("links %s", a.Links)
			}
		}},
		"discover the instances": {"1.2", Request{Operation: OpDiscover, Path: at("/3"), Depth: 1}, "GET /3?depth=1 accept=40", "", "2.05", "</3>,</3/0>", []field{uintField(optFormat, 40)}, "", nil},
		"discover the instances before 1.2": {"1.1", Request{Operation: OpDiscover, Path: at("/3"), Depth: 1}, "GET /3 accept=40", "", "2.05", "</3>,</3/0>,</3/0/9>", []field{uintField(optFormat, 40)}, "", func(t *testing.T, a Answer) {
			if got := a.Links.String(); got != "</3>,</3/0>" {
				t.Errorf("links %s", got)
			}
		}},
		"replace a resource":               {"1.1", Request{Operation: OpReplace, Path: at("/3/0/15"), Tree: tree("/3/0/15", lwm2m.String("x"))}, "PUT /3/0/15 format=112", "", "2.04", "", nil, "", nil},
		"write a resource of 1.0":          {"1.0", Request{Operation: OpWrite, Path: at("/3/0/15"), Tree: tree("/3/0/15", lwm2m.String("x"))}, "PUT /3/0/15 format=11542", "\xc1\x0fx", "2.04", "", nil, "", nil},
		"write some of an instance":        {"1.1", Request{Operation: OpWrite, Path: at("/3/0"), Tree: tree("/3/0/14", lwm2m.String("+01"))}, "POST /3/0 format=112", "", "2.04", "", nil, "", nil},
		"replace an instance":              {"1.1", Request{Operation: OpReplace, Path: at("/3/0"), Tree: tree("/3/0/14", lwm2m.String("+01"))}, "PUT /3/0 format=112", "", "2.04", "", nil, "", nil},
		"write a resource instance":        {"1.1", Request{Operation: OpWrite, Path: at("/19/0/0/0"), Tree: tree("/19/0/0/0", lwm2m.Opaque([]byte("list")))}, "PUT /19/0/0/0 format=42", "list", "2.04", "", nil, "", nil},
		"write a resource instance of 1.0": {"1.0", Request{Operation: OpWrite, Path: at("/19/0/0/0"), Tree: tree("/19/0/0/0", lwm2m.Opaque([]byte("list")))}, "POST /19/0 format=11542", "\x86\x00\x44\x00list", "2.04", "", nil, "", nil},
		"write several instances":          {"1.1", Request{Operation: OpWrite, Path: at("/19/0/0"), Tree: tree("/19/0/0/0", lwm2m.Opaque([]byte("x")), "/19/0/0/1", lwm2m.Opaque([]byte("y")))}, "POST /19/0 format=112", "", "2.04", "", nil, "", nil},
		"replace several instances":        {"1.1", Request{Operation: OpReplace, Path: at("/19/0/0"), Tree: tree("/19/0/0/0", lwm2m.Opaque([]byte("x")), "/19/0/0/1", lwm2m.Opaque([]byte("y")))}, "PUT /19/0/0 format=112", "", "2.04", "", nil, "", nil},
		"read a resource instance of 1.0":  {"1.0", Request{Operation: OpRead, Path: at("/19/0/0/1")}, "GET /19/0/0 accept=11542", "", "2.05", "\x86\x00\x41\x00x\x41\x01y", []field{uintField(optFormat, 11542)}, "/19/0/0/1 = 0x79", nil},
		"write a package":                  {"1.1", Request{Operation: OpReplace, Path: at("/9/0/2"), Tree: tree("/9/0/2", lwm2m.Opaque([]byte{0, 1}))}, "PUT /9/0/2 format=42", "\x00\x01", "2.04", "", nil, "", nil},
		"write attributes":                 {"1.1", Request{Operation: OpWriteAttributes, Path: at("/3/0/9"), Attributes: lwm2m.Attributes{Has: lwm2m.PMin | lwm2m.GT, PMin: 5, GT: 50.5, Unset: lwm2m.PMax}}, "PUT /3/0/9?pmin=5&pmax&gt=50.5", "", "2.04", "", nil, "", nil},
		"execute":                          {"1.1", Request{Operation: OpExecute, Path: at("/3/0/4")}, "POST /3/0/4", "", "2.04", "", nil, "", nil},
		"execute with arguments":           {"1.1", Request{Operation: OpExecute, Path: at("/9/0/6"), Arguments: "0='1'"}, "POST /9/0/6 format=0", "0='1'", "2.04", "", nil, "", nil},
		"create an empty instance": {"1.0", Request{Operation: OpCreate, Path: at("/9/2")}, "POST /9 format=11542", tlv, "2.01", "", nil, "", func(t *testing.T, a Answer) {
			if a.Path != at("/9/2") {
				t.Errorf("created %s", a.Path)
			}
		}},
		"create an empty instance of 1.1": {"1.1", Request{Operation: OpCreate, Path: at("/9/2")}, "POST /9 format=11542", tlv, "2.01", "", nil, "", nil},
		"create with resources": {"1.1", Request{Operation: OpCreate, Path: at("/9"), Tree: tree("/9/7/14", lwm2m.String("me"))}, "POST /9 format=112", "", "2.01", "", []field{{optLocation, "9"}, {optLocation, "8"}}, "", func(t *testing.T, a Answer) {
			if a.Path != at("/9/8") { // the device chooses
				t.Errorf("created %s", a.Path)
			}
		}},
		"create without a number": {"1.2", Request{Operation: OpCreate, Path: at("/9"), Tree: lwm2m.Tree{{Path: lwm2m.PathOf(9, lwm2m.NoID, 14), Value: lwm2m.String("me")}}}, "POST /9 format=11542", "\xc2\x0eme", "2.01", "", []field{{optLocation, "9"}, {optLocation, "4"}}, "", func(t *testing.T, a Answer) {
			if a.Path != at("/9/4") {
				t.Errorf("created %s", a.Path)
			}
		}},
		"create without anything": {"1.1", Request{Operation: OpCreate, Path: at("/9")}, "POST /9 format=11542", "", "2.01", "", []field{{optLocation, "9"}, {optLocation, "0"}}, "", nil},
		"delete":                  {"1.1", Request{Operation: OpDelete, Path: at("/9/2")}, "DELETE /9/2", "", "2.02", "", nil, "", nil},
		"read together":           {"1.1", Request{Operation: OpReadComposite, Paths: []lwm2m.Path{at("/3/0/0"), at("/3/0/9")}}, "FETCH / format=112 accept=112", "", "2.05", `[{"n":"/3/0/9","v":80}]`, []field{uintField(optFormat, 110)}, "/3/0/9 = 80", nil},
		"write together":          {"1.2", Request{Operation: OpWriteComposite, Tree: tree("/1/0/1", lwm2m.Integer(60), "/3/0/14", lwm2m.String("+01"))}, "iPATCH / format=112", "", "2.04", "", nil, "", nil},
		"observe":                 {"1.1", Request{Operation: OpObserve, Path: at("/3/0/9")}, "GET /3/0/9 observe=0 accept=112", "", "2.05", "80", []field{uintField(optObserve, 1), uintField(optFormat, 0)}, "/3/0/9 = 80", nil},
		"observe jointly":         {"1.1", Request{Operation: OpObserveComposite, Paths: []lwm2m.Path{at("/3/0/9")}}, "FETCH / observe=0 format=112 accept=112", "", "2.05", `[{"n":"/3/0/9","v":80}]`, []field{uintField(optObserve, 1), uintField(optFormat, 110)}, "/3/0/9 = 80", nil},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, Config{}, func(r *rig) {
				d := r.device("10.0.0.1:5683").registered("dev", "&lwm2m="+tc.version)
				done := begin(func() (Answer, error) { return r.server.Do(r.t.Context(), "dev", tc.request) })
				asked := d.asked(tc.want)
				if tc.payload != "" && asked.payload != tc.payload {
					t.Errorf("payload %q, want %q", asked.payload, tc.payload)
				}
				d.reply(asked, tc.answer, tc.body, tc.options...)
				a, err := done.wait()
				must(t, err)
				if a.Tree.String() != tc.tree {
					t.Errorf("got %s, want %s", a.Tree, tc.tree)
				}
				if tc.check != nil {
					tc.check(t, a)
				}
			})
		})
	}
}

func TestAlternatePath(t *testing.T) {
	bubble(t, Config{}, func(r *rig) {
		d := r.device("10.0.0.1:5683")
		got := d.call(post, "/rd?ep=dev&lwm2m=1.1", `</lwm2m>;rt="oma.lwm2m";ct="110 11542",</lwm2m/3/0>,</other>`)
		if got.answer() != "2.01" {
			t.Fatal(got.answer())
		}
		known, _ := r.server.Device("dev")
		if known.Root != "/lwm2m" || len(known.Instances) != 1 {
			t.Errorf("known is %+v", known)
		}
		read := r.read(r.t.Context(), "dev", "/3/0/9")
		d.text(d.asked("GET /lwm2m/3/0/9 accept=110"), "80") // as its ct says
		r.succeeds(read, "/3/0/9 = 80")
	})
}

func TestErrorsOfADevice(t *testing.T) {
	for answer, tc := range map[string]struct{ code, says string }{
		"4.00": {"lwm2m-server.bad-request", ""}, "4.01": {"lwm2m-server.unauthorized", ""}, "4.04": {"lwm2m-server.not-found", ""},
		"4.05": {"lwm2m-server.not-allowed", ""}, "4.09": {"lwm2m-server.conflict", ""}, "5.00": {"lwm2m-server.device-failed", "no more slots"},
		"5.03": {"lwm2m-server.busy", "x\x1b[2J"}, "4.30": {"lwm2m-server.refused", ""},
	} {
		bubble(t, Config{}, func(r *rig) {
			d := r.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1")
			read := r.read(r.t.Context(), "dev", "/3/0/9")
			d.reply(d.asked("GET /3/0/9 accept=112"), answer, tc.says)
			_, err := read.wait()
			careful(t, err)
			if errorCode(err) != tc.code || CodeOf(err).String() != answer {
				t.Errorf("%s: %v", answer, err)
			}
			if strings.Contains(err.Error(), "\x1b") || !strings.Contains(err.Error(), "/3/0/9") || strings.HasPrefix(tc.says, "no") && !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%s: %v", answer, err)
			}
		})
	}
}

func TestErrorsWithoutAnAnswer(t *testing.T) {
	bubble(t, Config{}, func(r *rig) {
		if _, err := r.server.Read(r.t.Context(), "nobody", at("/3")); errorCode(err) != "lwm2m-server.unknown-device" || CodeOf(err) != coap.NotFound {
			t.Errorf("unknown device: %v", err)
		}
		d := r.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1")
		read := r.read(r.t.Context(), "dev", "/3/0/9")
		d.send(packet{kind: rst, id: d.asked("GET /3/0/9 accept=112").id})
		if _, err := read.wait(); errorCode(err) != "lwm2m-server.reset" || CodeOf(err) != coap.BadGateway {
			t.Errorf("reset: %v", err)
		}
		read = r.read(r.t.Context(), "dev", "/3/0/9")
		d.text(d.asked("GET /3/0/9 accept=112"), "eighty")
		_, err := read.wait()
		if careful(t, err); errorCode(err) != "lwm2m-server.unreadable" {
			t.Errorf("not a number: %v", err)
		}
		d.vanish()
		read = r.read(r.t.Context(), "dev", "/3/0/9")
		_, err = read.wait()
		if careful(t, err); errorCode(err) != "lwm2m-server.timeout" || CodeOf(err) != coap.GatewayTimeout {
			t.Errorf("time-out: %v", err)
		}
		ctx, stop := context.WithTimeout(r.t.Context(), time.Second)
		defer stop()
		if _, err = r.server.Read(ctx, "dev", at("/3")); errorCode(err) != "lwm2m-server.stopped" {
			t.Errorf("own time-out: %v", err)
		}
	})
}

func TestCallsThatMakeNoSense(t *testing.T) {
	bubble(t, Config{}, func(r *rig) {
		d := r.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1")
		for _, request := range []Request{
			{}, {Operation: 99}, {Operation: OpRead}, {Operation: OpExecute, Path: at("/3/0")}, {Operation: OpCreate, Path: at("/3/0/1")},
			{Operation: OpWrite, Path: at("/3/0")}, {Operation: OpWrite, Path: at("/3"), Tree: tree("/3/0/1", lwm2m.String("x"))},
			{Operation: OpReplace, Path: at("/3/0"), Tree: tree("/4/0/1", lwm2m.String("x"))}, {Operation: OpDelete, Path: at("/9")},
			{Operation: OpDiscover, Path: at("/3"), Depth: 4}, {Operation: OpReadComposite}, {Operation: OpObserveComposite, Paths: make([]lwm2m.Path, 101)}, {Operation: OpWriteComposite},
			{Operation: OpReplace, Path: at("/3/0"), Tree: tree("/3/0/2", lwm2m.String("x"), "/3/0/1", lwm2m.String("x"))},
		} {
			_, err := r.server.Do(r.t.Context(), "dev", request)
			if careful(t, err); errorCode(err) != "lwm2m-server.bad-call" {
				t.Errorf("%+v: %v", request, err)
			}
		}
		d.silent()
	})
}

func TestFormatFallback(t *testing.T) {
	dir := t.TempDir()
	bubble(t, Config{}, func(r *rig) {
		st := openStore(t, dir)
		r.stop()
		r = start(r.t, Config{Store: st})
		d := r.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1")
		read := r.read(r.t.Context(), "dev", "/3/0/9")
		d.reply(d.asked("GET /3/0/9 accept=112"), "4.06", "")
		d.reply(d.asked("GET /3/0/9 accept=110"), "4.06", "")
		d.reply(d.asked("GET /3/0/9 accept=11542"), "2.05", "\xc1\x09\x50", uintField(optFormat, 11542))
		r.succeeds(read, "/3/0/9 = 80")

		read = r.read(r.t.Context(), "dev", "/3/0/9") // it is remembered
		d.reply(d.asked("GET /3/0/9 accept=11542"), "2.05", "\xc1\x09\x50", uintField(optFormat, 11542))
		r.succeeds(read, "/3/0/9 = 80")

		write := begin(func() (struct{}, error) {
			return struct{}{}, r.server.Replace(r.t.Context(), "dev", at("/3/0/15"), tree("/3/0/15", lwm2m.String("x")))
		})
		d.reply(d.asked("PUT /3/0/15 format=11542"), "4.15", "")
		d.reply(d.asked("PUT /3/0/15 format=0"), "2.04", "")
		_, err := write.wait()
		must(t, err)

		write = begin(func() (struct{}, error) {
			return struct{}{}, r.server.Replace(r.t.Context(), "dev", at("/9/0/2"), tree("/9/0/2", lwm2m.Opaque([]byte("x"))))
		})
		d.reply(d.asked("PUT /9/0/2 format=42"), "4.15", "")
		_, err = write.wait()
		if careful(t, err); CodeOf(err) != coap.NotAcceptable {
			t.Errorf("nothing is left: %v", err)
		}
		read = r.read(r.t.Context(), "dev", "/3/0/9") // so all begins anew
		d.text(d.asked("GET /3/0/9 accept=112"), "80")
		r.succeeds(read, "/3/0/9 = 80")

		read = r.read(r.t.Context(), "dev", "/3/0/9")
		d.reply(d.asked("GET /3/0/9 accept=112"), "4.06", "")
		d.text(d.asked("GET /3/0/9 accept=110"), "80")
		r.succeeds(read, "/3/0/9 = 80")
		r.stop()
		must(t, st.Close())

		st = openStore(t, dir)
		defer func() { must(t, st.Close()) }()
		r = start(r.t, Config{Store: st})
		defer r.stop()
		d.wire = r.plain
		d.back()
		read = r.read(r.t.Context(), "dev", "/3/0/9") // over a restart too
		d.text(d.asked("GET /3/0/9 accept=110"), "80")
		r.succeeds(read, "/3/0/9 = 80")
	})
}

func TestDeviceWithoutComposite(t *testing.T) {
	for name, tc := range map[string]struct {
		reply func(d *script, asked packet)
	}{
		"says so":                       {func(d *script, asked packet) { d.reply(asked, "4.05", "") }},
		"acknowledges and says nothing": {func(d *script, asked packet) { d.send(packet{kind: ack, id: asked.id}) }}, // Wakaama
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, Config{}, func(r *rig) {
				d := r.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1")
				for round := range 2 {
					read := begin(func() (lwm2m.Tree, error) {
						return r.server.ReadComposite(r.t.Context(), "dev", at("/3/0/9"), at("/3/0/99"), at("/3/0/0"))
					})
					if round == 0 {
						tc.reply(d, d.asked("FETCH / format=112 accept=112"))
					}
					d.text(d.asked("GET /3/0/9 accept=112"), "80")
					d.reply(d.asked("GET /3/0/99 accept=112"), "4.04", "")
					d.text(d.asked("GET /3/0/0 accept=112"), "Acme")
					r.succeeds(read, `/3/0/0 = "Acme", /3/0/9 = 80`)
				}
				write := begin(func() (struct{}, error) {
					return struct{}{}, r.server.WriteComposite(r.t.Context(), "dev", tree("/1/0/1", lwm2m.Integer(5), "/1/0/2", lwm2m.Integer(6), "/3/0/14", lwm2m.String("+01")))
				})
				d.reply(d.asked("POST /1/0 format=112"), "2.04", "")
				d.reply(d.asked("POST /3/0 format=112"), "2.04", "")
				_, err := write.wait()
				must(t, err)
				observe := begin(func() ([]ObservationID, error) {
					ids, _, err := r.server.ObserveComposite(r.t.Context(), "dev", at("/3/0/9"), at("/3/0/0"))
					return ids, err
				})
				d.text(d.asked("GET /3/0/9 observe=0 accept=112"), "80", uintField(optObserve, 1))
				d.text(d.asked("GET /3/0/0 observe=0 accept=112"), "Acme", uintField(optObserve, 1))
				ids, err := observe.wait()
				must(t, err)
				if len(ids) != 2 || ids[0] == ids[1] {
					t.Errorf("observations %v", ids)
				}
			})
		})
	}
}

// A device that reads no TLV is told a number that is free.
func TestCreateWithoutANumber(t *testing.T) {
	bubble(t, Config{}, func(r *rig) {
		d := r.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1")
		create := begin(func() (lwm2m.Path, error) {
			return r.server.Create(r.t.Context(), "dev", at("/9"), lwm2m.Tree{{Path: lwm2m.PathOf(9, lwm2m.NoID, 14), Value: lwm2m.String("me")}})
		})
		d.reply(d.asked("POST /9 format=11542"), "4.15", "")
		d.reply(d.asked("GET /9 accept=40"), "2.05", "</9>,</9/0>,</9/1/14>,</9/3>", uintField(optFormat, 40))
		asked := d.asked("POST /9 format=112")
		got, err := codec.Decode(lwm2m.FormatSenMLCBOR, at("/9"), []byte(asked.payload), nil)
		must(t, err)
		if got.String() != `/9/2/14 = "me"` {
			t.Errorf("created as %s", got)
		}
		d.reply(asked, "2.01", "")
		if path, err := create.wait(); err != nil || path != at("/9/2") {
			t.Errorf("created %s, %v", path, err)
		}
	})
}

func TestLargeBodies(t *testing.T) {
	bubble(t, Config{}, func(r *rig) {
		d := r.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1")
		body := strings.Repeat("0123456789abcdef", 160) // 2,560 bytes
		write := begin(func() (struct{}, error) {
			return struct{}{}, r.server.Replace(r.t.Context(), "dev", at("/9/0/2"), tree("/9/0/2", lwm2m.OpaqueString(body)))
		})
		got := ""
		for len(got) < len(body) {
			p := d.receive()
			block := p.uint(optBlock1)
			got += p.payload
			if block&8 != 0 {
				d.reply(p, "2.31", "", uintField(optBlock1, uint32(block)))
			} else {
				d.reply(p, "2.04", "", uintField(optBlock1, uint32(block)))
			}
		}
		_, err := write.wait()
		must(t, err)
		if got != body {
			t.Error("the device got another body")
		}
	})
}
