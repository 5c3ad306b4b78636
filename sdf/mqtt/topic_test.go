package mqtt

import (
	"errors"
	"strings"
	"testing"
)

func TestTopicAsText(t *testing.T) {
	battery := Topic{Thing: "sensor-1", Object: "Device", Label: At(0), Affordance: Property, Name: "Battery_Level"}
	for _, test := range []struct {
		name  string
		topic Topic
		want  string
	}{
		{"thing", Topic{Thing: "sensor-1"}, "sensor-1"},
		{"object", Topic{Thing: "sensor-1", Object: "LWM2M_Software_Management"}, "sensor-1/LWM2M_Software_Management"},
		{"instance", Topic{Thing: "sensor-1", Object: "Device", Label: At(65535)}, "sensor-1/Device/65535"},
		{"property", battery, "sensor-1/Device/0/Property/Battery_Level"},
		{"action", Topic{Thing: "a", Object: "b", Label: At(3), Affordance: Action, Name: "Install"}, "a/b/3/Action/Install"},
		{"event", Topic{Thing: "a", Object: "b", Label: At(3), Affordance: Event, Name: "Alarm"}, "a/b/3/Event/Alarm"},
		{"element", Topic{Thing: "a", Object: "Shell", Label: At(0), Affordance: Property, Name: "Data", Element: At(1)}, "a/Shell/0/Property/Data/1"},
		{"name of a mobile", Topic{Thing: "urn:imei:490154203237518"}, "urn:imei:490154203237518"},
		{"wildcards", Topic{Thing: "+/#%"}, "%2B%2F%23%25"},
		{"control characters", Topic{Thing: "a\x00b\x7f\u0085"}, "a%00b%7F%C2%85"},
		{"no UTF-8", Topic{Thing: "a\xffb"}, "a%FFb"},
		{"beyond ASCII", Topic{Thing: "Fühler"}, "Fühler"},
		{"reserved", Topic{Thing: "announce"}, "%61nnounce"},
		{"nearly reserved", Topic{Thing: "announced"}, "announced"},
		{"reserved, but not at the start", Topic{Thing: "a", Object: "event"}, "a/event"},
		{"a broker's own", Topic{Thing: "$SYS"}, "%24SYS"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := test.topic.String(); got != test.want {
				t.Errorf("printed: got %q, want %q", got, test.want)
			}
			if got, err := ParseTopic(test.want); got != test.topic || err != nil {
				t.Errorf("parsed: got %+v, %v, want %+v", got, err, test.topic)
			}
		})
	}
}

func TestTopicsThatAreNone(t *testing.T) {
	for name, topic := range map[string]string{
		"empty":                  "",
		"empty segment":          "a//0",
		"slash at the end":       "a/b/",
		"wildcard":               "a/+/0",
		"all":                    "#",
		"reserved":               "event/a",
		"a broker's own":         "$SYS/broker",
		"half an affordance":     "a/b/0/Property",
		"no affordance":          "a/b/0/property/c",
		"too long a path":        "a/b/0/Property/c/0/1",
		"element of an action":   "a/b/0/Action/c/0",
		"label not a number":     "a/b/c",
		"label with zeros":       "a/b/00",
		"label with a sign":      "a/b/+1",
		"label too large":        "a/b/65536",
		"needless escape":        "%41",
		"small hexadecimal":      "%2b",
		"cut escape":             "a%2",
		"no escape":              "a%zz",
		"NUL":                    "a\x00",
		"huge name":              strings.Repeat("a", maxSegment+1),
		"huge topic":             strings.Repeat("a/", maxTopic),
		"escape of a plain word": "%61nnounced",
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := ParseTopic(topic); !errors.Is(err, ErrTopic) {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func TestPointer(t *testing.T) {
	got := Topic{Thing: "a", Object: "On/Off", Label: At(1), Affordance: Action, Name: "~x"}.Pointer()
	if want := "#/sdfObject/On~1Off/sdfAction/~0x"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// What parses prints as it was, and never matches more than itself.
func FuzzParseTopic(f *testing.F) {
	for _, s := range []string{"a", "a/b/0/Property/c/1", "%61nnounce/x", "a%2Fb/c", "event/a", "a/b/0/Event/c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		topic, err := ParseTopic(s)
		if err != nil {
			return
		}
		if got := topic.String(); got != s {
			t.Fatalf("%q printed as %q", s, got)
		}
		if strings.ContainsAny(s, "+#\x00") {
			t.Fatalf("%q is a topic", s)
		}
	})
}

// Any name of a thing comes through, and becomes no other topic.
func FuzzThingName(f *testing.F) {
	for _, s := range []string{"a", "urn:dev:os:1", "announce", "$SYS", "+/#", "\xff\x00", "reply"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if name == "" || len(name) > maxSegment {
			return
		}
		s := Topic{Thing: name}.String()
		if strings.ContainsAny(s, "+#/\x00") || reserved[s] || s[0] == '$' {
			t.Fatalf("%q became the topic %q", name, s)
		}
		if got, err := ParseTopic(s); err != nil || got.Thing != name {
			t.Fatalf("%q came back as %q, %v", name, got.Thing, err)
		}
	})
}

func BenchmarkParseTopic(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseTopic("sensor-1/Device/0/Property/Battery_Level"); err != nil {
			b.Fatal(err)
		}
	}
}
