package server

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/edgehold/edgehold/lwm2m"
)

func TestRegisterAnswers(t *testing.T) {
	long := strings.Repeat("x", 128)
	many := "</3/0>" + strings.Repeat(",</9/1>", 1100)
	linkFormat := uintField(optFormat, 40)
	for name, tc := range map[string]struct {
		path, payload string
		options       []field
		want          string
	}{
		"minimal":                     {"/rd?ep=a&lwm2m=1.0", "</3/0>", []field{linkFormat}, "2.01"},
		"everything":                  {"/rd?ep=a&lwm2m=1.1&lt=60&b=UQ&sms=4917&Q&pid=x", "</3/0>", []field{linkFormat}, "2.01"},
		"as Anjay 1.2, without b":     {"/rd?lwm2m=1.2&ep=urn:dev:os:1&lt=60", "</1/1>,</2>,</3/0>,</10>;ver=1.1", []field{linkFormat}, "2.01"},
		"as Wakaama":                  {"/rd?lwm2m=1.1&ep=w&b=U&lt=300", `</>;rt="oma.lwm2m";ct=110,</1>;ver=1.1,</1/0>,</3/0>`, []field{linkFormat}, "2.01"},
		"no links":                    {"/rd?ep=a&lwm2m=1.1", "", nil, "2.01"},
		"links without format":        {"/rd?ep=a&lwm2m=1.1", "</3/0>", nil, "2.01"},
		"a version with a patch":      {"/rd?ep=a&lwm2m=1.0.2", "", nil, "2.01"},
		"the longest name":            {"/rd?ep=" + long + "&lwm2m=1.1", "", nil, "2.01"},
		"wildcards of MQTT in a name": {"/rd?ep=%2B/a%23&lwm2m=1.1", "", nil, "2.01"},
		"no name":                     {"/rd?lwm2m=1.1", "", nil, "4.00"},
		"an empty name":               {"/rd?ep=&lwm2m=1.1", "", nil, "4.00"},
		"a long name":                 {"/rd?ep=" + long + "x&lwm2m=1.1", "", nil, "4.00"},
		"a control character":         {"/rd?ep=a\x07b&lwm2m=1.1", "", nil, "4.00"},
		"a NUL":                       {"/rd?ep=a\x00&lwm2m=1.1", "", nil, "4.00"},
		"no UTF-8":                    {"/rd?ep=a\xff&lwm2m=1.1", "", nil, "4.00"},
		"a name from right to left":   {"/rd?ep=a\u202eb&lwm2m=1.1", "", nil, "4.00"},
		"a space before the name":     {"/rd?ep= a&lwm2m=1.1", "", nil, "4.00"},
		"a space behind the name":     {"/rd?ep=a &lwm2m=1.1", "", nil, "4.00"},
		"a space in the name":         {"/rd?ep=a b&lwm2m=1.1", "", nil, "2.01"},
		"two names":                   {"/rd?ep=a&ep=b&lwm2m=1.1", "", nil, "4.00"},
		"no version":                  {"/rd?ep=a", "", nil, "4.00"},
		"no such version":             {"/rd?ep=a&lwm2m=one", "", nil, "4.00"},
		"a later version":             {"/rd?ep=a&lwm2m=2.0", "", nil, "4.12"},
		"a later minor version":       {"/rd?ep=a&lwm2m=1.3", "", nil, "4.12"},
		"lifetime zero":               {"/rd?ep=a&lwm2m=1.1&lt=0", "", nil, "4.00"},
		"lifetime negative":           {"/rd?ep=a&lwm2m=1.1&lt=-1", "", nil, "4.00"},
		"lifetime endless":            {"/rd?ep=a&lwm2m=1.1&lt=18446744073709551615", "", nil, "2.01"},
		"no such binding":             {"/rd?ep=a&lwm2m=1.1&b=X", "", nil, "4.00"},
		"binding twice":               {"/rd?ep=a&lwm2m=1.1&b=UU", "", nil, "4.00"},
		"links in another format":     {"/rd?ep=a&lwm2m=1.1", "</3/0>", []field{uintField(optFormat, 0)}, "4.15"},
		"a link that is none":         {"/rd?ep=a&lwm2m=1.1", "3/0", []field{linkFormat}, "4.00"},
		"links that are none":         {"/rd?ep=a&lwm2m=1.1", "</3/0>,", []field{linkFormat}, "4.00"},
		"too many links":              {"/rd?ep=a&lwm2m=1.1", many[:1001], []field{linkFormat}, "4.00"}, // cut in a link
		"a root that is no path":      {"/rd?ep=a&lwm2m=1.1", "<" + strings.Repeat("/x", 60) + `>;rt="oma.lwm2m"`, []field{linkFormat}, "4.00"},
		"not allowed":                 {"/rd?ep=forbidden&lwm2m=1.1", "", nil, "4.03"},
		"elsewhere":                   {"/r?ep=a&lwm2m=1.1", "", nil, "4.04"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, Config{Authorise: Bound("[^f]*")}, func(r *rig) {
				d := r.device("10.0.0.1:5683")
				got := d.call(post, tc.path, tc.payload, tc.options...)
				if got.answer() != tc.want {
					t.Errorf("answers %s %q, want %s", got.answer(), got.payload, tc.want)
				}
				if registered := r.server.Len(); (registered == 1) != (tc.want == "2.01") {
					t.Errorf("%d devices are registered", registered)
				}
				if where := got.location(); (tc.want == "2.01") != (strings.HasPrefix(where, "/rd/") && len(where) == 20) {
					t.Errorf("location %s", where)
				}
				d.silent() // nothing is read unasked
			})
		})
	}
}

func TestLinksAreBounded(t *testing.T) {
	bubble(t, Config{Limits: Limits{Links: 10, LinkBytes: 200}}, func(r *rig) {
		d := r.device("10.0.0.1:5683")
		for payload, want := range map[string]string{
			strings.Repeat("</3/0>,", 9) + "</3/0>":  "2.01",
			strings.Repeat("</3/0>,", 10) + "</3/0>": "4.13",
			"</3/0>;x=" + strings.Repeat("y", 200):   "4.13",
		} {
			if got := d.call(post, "/rd?ep=a&lwm2m=1.1", payload); got.answer() != want {
				t.Errorf("%d bytes: answers %s, want %s", len(payload), got.answer(), want)
			}
		}
	})
}

// What all devices tell together is bounded too, and what devices share counts once.
func TestAllLinksAreBounded(t *testing.T) {
	bubble(t, Config{Limits: Limits{AllLinkBytes: 10_000}}, func(r *rig) {
		refused := 0
		for n := range 40 {
			d := r.device(fmt.Sprint("10.0.0.1:", 1000+n))
			same := d.call(post, fmt.Sprintf("/rd?ep=same%d&lwm2m=1.1", n), strings.Repeat("</3/0>,", 50)+"</3/0>")
			if same.answer() != "2.01" {
				t.Errorf("device %d with shared links is answered %s", n, same.answer())
			}
			other := d.call(post, fmt.Sprintf("/rd?ep=other%d&lwm2m=1.1", n), fmt.Sprintf("</3/0>;x=%d", n)+strings.Repeat("y", 500))
			if other.answer() == "5.03" && other.uint(optMaxAge) > 0 {
				refused++
			}
		}
		if refused < 20 {
			t.Errorf("%d are refused", refused)
		}
		for n := range 40 {
			_ = r.server.Remove(fmt.Sprintf("same%d", n))
			_ = r.server.Remove(fmt.Sprintf("other%d", n))
		}
		if r.server.links.bytes != 0 {
			t.Errorf("%d bytes are counted of nothing", r.server.links.bytes)
		}
	})
}

// A datagram that comes twice registers once, and is answered the same.
func TestDuplicateRegistration(t *testing.T) {
	bubble(t, Config{}, func(r *rig) {
		d := r.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1")
		r.expect("registered dev", "introduced dev")
		d.id-- // the same message again
		first := d.where
		d.registered("dev", "&lwm2m=1.1")
		if d.where != first {
			t.Error("registered twice")
		}
		r.quiet()
	})
}

func TestWhatIsKnownOfADevice(t *testing.T) {
	bubble(t, Config{}, func(r *rig) {
		d := r.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1&lt=120&b=U&Q&sms=4917")
		r.expect("registered dev", "awake dev", "introduced dev")
		got, ok := r.server.Device("dev")
		if !ok {
			t.Fatal("not there")
		}
		if got.Endpoint != "dev" || "/rd/"+got.ID != d.where || got.Peer != d.peer || got.Version != lwm2m.V1_1 || got.Lifetime != 2*time.Minute ||
			got.Binding != "U" || got.SMS != "4917" || !got.QueueMode || got.State != Reachable || !got.Registered.Equal(time.Now()) || got.Root != "" {
			t.Errorf("known is %+v", got)
		}
		var paths []string
		for _, p := range got.Instances {
			paths = append(paths, p.String())
		}
		if diff := cmp.Diff([]string{"/1/0", "/3/0", "/4/0", "/9", "/19/0", "/3303/0"}, paths); diff != "" {
			t.Error(diff)
		}
		for path, want := range map[string]bool{"/3": true, "/3/0": true, "/3/0/9": true, "/3/1": false, "/9": true, "/5": false, "/": true, "/3302": false, "/3304": false} {
			if got.Has(lwm2m.MustParsePath(path)) != want {
				t.Errorf("Has(%s) is not %v", path, want)
			}
		}
		if v := got.ObjectVersion(3303); v != (lwm2m.Version{Major: 1, Minor: 1}) {
			t.Errorf("version of object 3303 is %s", v)
		}
		if len(got.Links()) != 7 {
			t.Errorf("links %s", got.Links())
		}
	})
}

func TestUpdate(t *testing.T) {
	bubble(t, Config{}, func(r *rig) {
		d := r.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1&lt=60")
		r.expect("registered dev", "introduced dev")
		for _, tc := range []struct{ more, want string }{
			{"", "2.04"}, {"?lt=300", "2.04"}, {"?b=UT", "2.04"}, {"?lt=x", "4.00"}, {"?b=", "4.00"}, {"?unknown=1", "2.04"}, {"?lwm2m=1.2", "2.04"},
		} {
			if got := d.update(tc.more); got.answer() != tc.want {
				t.Errorf("update %s answers %s, want %s", tc.more, got.answer(), tc.want)
			}
			if tc.want == "2.04" {
				r.expect("updated dev")
			}
		}
		got, _ := r.server.Device("dev")
		if got.Lifetime != 5*time.Minute || got.Binding != "UT" || got.Version != lwm2m.V1_1 || len(got.Instances) != 6 {
			t.Errorf("known is %+v", got)
		}
		if answer := d.call(post, d.where, "</3/0>,</9/0>,</9/1>", uintField(optFormat, 40)); answer.answer() != "2.04" {
			t.Errorf("update of the links answers %s", answer.answer())
		}
		if got, _ = r.server.Device("dev"); !got.Has(lwm2m.MustParsePath("/9/1")) || got.Has(lwm2m.MustParsePath("/4/0")) {
			t.Errorf("instances are %v", got.Instances)
		}
		for _, where := range []string{"/rd/0000000000000000", "/rd/x", d.where + "0", d.where + "/x"} {
			if got := d.call(post, where, ""); got.answer() != "4.04" {
				t.Errorf("update of %s answers %s", where, got.answer())
			}
		}
		if got := d.call(get, d.where, ""); got.answer() != "4.05" {
			t.Errorf("GET answers %s", got.answer())
		}
	})
}

func TestDeregister(t *testing.T) {
	bubble(t, Config{}, func(r *rig) {
		d := r.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1")
		r.expect("registered dev", "introduced dev")
		if got := d.call(del, d.where, ""); got.answer() != "2.02" {
			t.Errorf("answers %s", got.answer())
		}
		r.expect("deregistered dev")
		if got := d.call(del, d.where, ""); got.answer() != "4.04" {
			t.Errorf("a second time answers %s", got.answer())
		}
		if got := d.update(""); got.answer() != "4.04" {
			t.Errorf("update answers %s", got.answer())
		}
		if _, ok := r.server.Device("dev"); ok || r.server.Len() != 0 {
			t.Error("it is there still")
		}
		d.registered("dev", "&lwm2m=1.1")
		r.expect("registered dev", "introduced dev")
	})
}

func TestRegisterAgain(t *testing.T) {
	bubble(t, Config{}, func(r *rig) {
		d := r.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1")
		first := d.where
		r.expect("registered dev", "introduced dev")
		d.registered("dev", "&lwm2m=1.1")
		r.expect("registered dev", "introduced dev")
		if d.where == first {
			t.Error("the registration has the same number")
		}
		if got := d.call(post, first, ""); got.answer() != "4.04" {
			t.Errorf("the old registration answers %s", got.answer())
		}
		if r.server.Len() != 1 || len(r.server.links.sets) != 1 {
			t.Errorf("%d devices, %d sets of links", r.server.Len(), len(r.server.links.sets))
		}
	})
}

func TestExpiry(t *testing.T) {
	bubble(t, Config{Times: Times{Grace: 10 * time.Second}}, func(r *rig) {
		d := r.device("10.0.0.1:5683").registered("dev", "&lwm2m=1.1&lt=60")
		r.expect("registered dev", "introduced dev")
		time.Sleep(50 * time.Second)
		if got := d.update(""); got.answer() != "2.04" {
			t.Fatal(got.answer())
		}
		r.expect("updated dev")
		time.Sleep(69 * time.Second)
		r.quiet()
		began := time.Now()
		r.expect("expired dev")
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("expired %v late", took)
		}
		if got := d.update(""); got.answer() != "4.04" {
			t.Errorf("update answers %s", got.answer())
		}
		if len(r.server.links.sets) != 0 {
			t.Error("its links are there still")
		}
		d.registered("dev", "&lwm2m=1.1&lt=1000")
		r.expect("registered dev", "introduced dev")
		d.update("?lt=20") // sooner than it was due
		r.expect("updated dev")
		began = time.Now()
		r.expect("expired dev")
		if took := time.Since(began).Round(time.Second); took != 30*time.Second {
			t.Errorf("expired after %v", took)
		}
	})
}

func TestChallenge(t *testing.T) {
	bubble(t, Config{Limits: Limits{Challenge: 1}}, func(r *rig) {
		register := func(d *script, endpoint string, options ...field) packet {
			return d.call(post, "/rd?ep="+endpoint+"&lwm2m=1.1", "", options...)
		}
		for n := range 2 { // so many are taken at their word
			if got := register(r.device(fmt.Sprint("10.0.0.1:", 1000+n)), fmt.Sprint("first", n)); got.answer() != "2.01" {
				t.Errorf("device %d is answered %s", n, got.answer())
			}
		}
		d := r.device("10.0.0.2:5683")
		got := register(d, "dev")
		if got.answer() != "4.01" || len(got.all(optEcho)) != 1 {
			t.Fatalf("answered %s, %q", got.answer(), got.all(optEcho))
		}
		challenge := field{optEcho, got.all(optEcho)[0]}
		if got := register(r.device("10.0.0.3:5683"), "dev", challenge); got.answer() != "4.01" {
			t.Errorf("another's answer is answered %s", got.answer())
		}
		if got := register(d, "dev", field{optEcho, "\x00\x00\x00\x00forged!!"}); got.answer() != "4.01" {
			t.Errorf("a forged answer is answered %s", got.answer())
		}
		if got := register(d, "dev", challenge); got.answer() != "2.01" {
			t.Errorf("the answer is answered %s", got.answer())
		}
		if got := register(d, "dev"); got.answer() != "2.01" { // known by now
			t.Errorf("again it is answered %s", got.answer())
		}
		if got := register(r.secured("safe", 1), "safe"); got.answer() != "2.01" {
			t.Errorf("with security it is answered %s", got.answer())
		}
		late := r.device("10.0.0.4:5683")
		challenge = field{optEcho, register(late, "late").all(optEcho)[0]}
		time.Sleep(2 * time.Minute)
		for n := range 2 {
			register(r.device(fmt.Sprint("10.0.0.5:", 1000+n)), fmt.Sprint("more", n))
		}
		if got := register(late, "late", challenge); got.answer() != "4.01" {
			t.Errorf("an old answer is answered %s", got.answer())
		}
	})
}

// A device that comes and goes leaves nothing behind, whatever lifetime it tells.
func TestComingAndGoing(t *testing.T) {
	bubble(t, Config{}, func(r *rig) {
		d := r.device("10.0.0.1:5683")
		for n := range 50 {
			d.registered("dev", "&lwm2m=1.1&lt=4294967295")
			d.update("?lt=" + fmt.Sprint(4000000000-n))
			d.call(del, d.where, "")
		}
		if n := len(r.server.agenda.entries); n != 0 {
			t.Errorf("%d entries of the agenda are left", n)
		}
	})
}

func TestHerd(t *testing.T) {
	bubble(t, Config{Limits: Limits{Registrations: 5, Devices: 12}}, func(r *rig) {
		taken := 0
		for n := range 20 {
			d := r.device(fmt.Sprint("10.0.0.1:", 1000+n))
			got := d.register("dev"+string(rune('a'+n)), "&lwm2m=1.1")
			switch got.answer() {
			case "2.01":
				taken++
			case "5.03":
				if age := got.uint(optMaxAge); age < 10 || age > 60 {
					t.Errorf("Max-Age %d", age)
				}
			default:
				t.Errorf("answers %s", got.answer())
			}
		}
		if taken != 10 {
			t.Errorf("%d of a herd are taken at once", taken)
		}
		time.Sleep(2 * time.Second)
		for n := range 5 {
			if got := r.device("10.0.0.2:100"+string(rune('1'+n))).register("late"+string(rune('a'+n)), "&lwm2m=1.1"); (got.answer() == "2.01") != (n < 2) {
				t.Errorf("late device %d answers %s", n, got.answer())
			}
		}
	})
}
