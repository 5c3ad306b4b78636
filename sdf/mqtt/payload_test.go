package mqtt

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestResponseAsText(t *testing.T) {
	r := &Response{Code: Content, Objects: Objects{"Software_Package_Monitoring": {{Label: 0, Properties: map[string]any{
		"Software_Package": map[string]any{"object": int64(9), "instance": int64(0)}, "CPU_Usage": 1.5, "Memory_Usage": int64(4096), "Error": "a \"b\"", "Raw": []byte{0xfb, 0xff},
	}}}}}
	got, err := encodeResponse(r, false)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"response_code":205,"sdfObject":{"Software_Package_Monitoring":[{"label":0,"sdfProperty":{"CPU_Usage":1.5,"Error":"a \"b\"",` +
		`"Memory_Usage":4096,"Raw":"-_8","Software_Package":{"instance":0,"object":9}}}]}}`
	if string(got) != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestTextsAreLegible(t *testing.T) {
	for text, want := range map[string]string{
		"": `""`, "</3/0>;ver=1.2": `"</3/0>;ver=1.2"`, "a\"b\\c\nd\x01\x7f": `"a\"b\\c\nd\u0001\u007F"`, "Fühler 😀": `"Fühler 😀"`, "a\xffb": "\"a\ufffdb\"", "&\u2028": "\"&\u2028\"",
	} {
		got := string(appendString(nil, text))
		var back string
		if err := json.Unmarshal([]byte(got), &back); got != want || err != nil || back != strings.ToValidUTF8(text, "\ufffd") {
			t.Errorf("%q is written %s, read %q (%v)", text, got, back, err)
		}
	}
}

func TestResponseThereAndBack(t *testing.T) {
	for _, r := range []*Response{
		{Code: Changed},
		{Code: Created, Data: int64(7)},
		{Code: Content, Model: map[string]any{"info": map[string]any{"title": "Sensor"}}},
		{Code: Content, Objects: Objects{"A": {}, "B": {{Label: 1, Properties: map[string]any{}}, {Label: 65535, Properties: map[string]any{
			"low": int64(math.MinInt64), "high": uint64(math.MaxUint64), "half": 0.5, "no": false, "nothing": nil, "list": []any{int64(1), "x"},
		}}}}},
		Fail(NotFound, Error{Code: "device.unknown", Message: "read", Why: "nobody", Hint: "look"}),
	} {
		for _, isCBOR := range []bool{false, true} {
			payload, err := encodeResponse(r, isCBOR)
			if err != nil {
				t.Fatal(err)
			}
			got, err := decodeResponse(payload, isCBOR)
			if err != nil {
				t.Fatalf("%x: %v", payload, err)
			}
			if d := cmp.Diff(got, r, cmpopts.IgnoreUnexported(Error{})); d != "" {
				t.Errorf("CBOR %v: got, want: %s", isCBOR, d)
			}
		}
	}
}

func TestBytesInCBORAreBytes(t *testing.T) {
	payload, err := encodeRequest(&Request{Operation: Post, Data: []byte{1, 2}, CBOR: true})
	if err != nil {
		t.Fatal(err)
	}
	r := Request{CBOR: true}
	if err := r.decode(payload); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(r.Data, any([]byte{1, 2})); d != "" {
		t.Error(d)
	}
}

func TestRequestsThatAreNone(t *testing.T) {
	for name, payload := range map[string]string{
		"nothing":             "",
		"no map":              `"GET"`,
		"no operation":        `{"data":1}`,
		"another operation":   `{"operation":"PATCH"}`,
		"no text":             `{"operation":1}`,
		"member twice":        `{"operation":"GET","operation":"DELETE"}`,
		"twice further down":  `{"operation":"POST","data":{"a":1,"a":2}}`,
		"bytes behind it":     `{"operation":"GET"} {}`,
		"cut":                 `{"operation":"GET"`,
		"deep":                `{"operation":"POST","data":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`,
		"wide":                `{"operation":"POST","data":[0` + strings.Repeat(",0", maxMembers) + `]}`,
		"number out of range": `{"operation":"POST","data":1e999}`,
		"no UTF-8":            "{\"operation\":\"POST\",\"data\":\"\xff\"}",
	} {
		t.Run(name, func(t *testing.T) {
			var r Request
			if err := r.decode([]byte(payload)); err == nil {
				t.Errorf("got %+v", r)
			}
		})
	}
}

func TestNotificationThereAndBack(t *testing.T) {
	n := Notification{Topic: Topic{Thing: "a", Object: "b", Label: At(2), Affordance: Property, Name: "c"}, Time: time.UnixMilli(1_700_000_000_123)}
	n.Objects = One(n.Topic, 21.5)
	for _, isCBOR := range []bool{false, true} {
		payload, err := encodeNotification(&n, isCBOR)
		if err != nil {
			t.Fatal(err)
		}
		got := Notification{Topic: n.Topic}
		if err := got.decode(payload, isCBOR); err != nil {
			t.Fatal(err)
		}
		if !got.Time.Equal(n.Time) {
			t.Errorf("time: got %v, want %v", got.Time, n.Time)
		}
		if v, ok := got.Objects.Property(n.Topic); v != 21.5 || !ok {
			t.Errorf("value: got %v", v)
		}
	}
}

// Whatever comes in, nothing panics; what is understood means the same after it was written again.
func FuzzRequest(f *testing.F) {
	f.Add([]byte(`{"operation":"POST","data":{"label":1}}`), false)
	f.Add([]byte(`{"operation":"get","data":[1.5,-0,18446744073709551615,null,"\u0000"]}`), false)
	cborSeed, _ := encodeRequest(&Request{Operation: Observe, Data: map[string]any{"pmin": int64(1)}, CBOR: true})
	f.Add(cborSeed, true)
	f.Fuzz(func(t *testing.T, b []byte, isCBOR bool) {
		r := Request{CBOR: isCBOR}
		if r.decode(b) != nil {
			return
		}
		again, err := encodeRequest(&r)
		if err != nil {
			t.Fatalf("%+v: %v", r, err)
		}
		s := Request{CBOR: isCBOR}
		if err := s.decode(again); err != nil {
			t.Fatalf("%q, written again %q: %v", b, again, err)
		}
		if fmt.Sprint(r.Data) != fmt.Sprint(s.Data) {
			t.Fatalf("%q became %q", b, again)
		}
	})
}

func FuzzResponse(f *testing.F) {
	f.Add([]byte(`{"response_code":205,"sdfObject":{"A":[{"label":0,"sdfProperty":{"b":1}}]},"error":{"code":"x"}}`), false)
	f.Add([]byte(`{"sdfObject":{"A":[{"label":0}]},"time":1.5}`), false)
	f.Fuzz(func(t *testing.T, b []byte, isCBOR bool) {
		if r, err := decodeResponse(b, isCBOR); err == nil {
			if _, err := encodeResponse(r, isCBOR); err != nil {
				t.Fatalf("%+v: %v", r, err)
			}
		}
		var n Notification
		_ = n.decode(b, isCBOR)
	})
}

func BenchmarkResponse(b *testing.B) {
	r := &Response{Code: Content, Objects: Objects{"Device": {{Properties: map[string]any{"Battery_Level": int64(97)}}}}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := encodeResponse(r, false); err != nil {
			b.Fatal(err)
		}
	}
}
