package route

import (
	"strings"
	"testing"
)

func TestOrigins(t *testing.T) {
	for uri, want := range map[string]End{
		"local://1/temp_avg": {Kind: Local, Workload: 1, Name: "temp_avg"},
		"coap://endpoint1":   {Kind: Listen, Name: "/endpoint1"},
		"coap://a/b/":        {Kind: Listen, Name: "/a/b"},
	} {
		if got, err := ParseOrigin(uri); err != nil || got != want {
			t.Errorf("%s: got %+v, %v", uri, got, err)
		}
	}
	for _, bad := range []string{"", "temp", "local://1", "local://x/y", "local://01/y", "local://65535/y", "local://1/a/b", "coap://", "coap://host:5683/x", "coap://u@x",
		"mqtt://b/t", "http://x", "coap://x?y=1", "coap://" + strings.Repeat("x", 300)} {
		if got, err := ParseOrigin(bad); err == nil {
			t.Errorf("%.60q is accepted: %+v", bad, got)
		}
	}
}

func TestDestinations(t *testing.T) {
	for uri, want := range map[string]End{
		"local://1/temp1":                 {Kind: Local, Workload: 1, Name: "temp1"},
		"coap://192.0.2.7:5683/endpoint1": {Kind: CoAP, Address: "192.0.2.7:5683", Name: "/endpoint1"},
		"coap://[2001:db8::1]/a/b":        {Kind: CoAP, Address: "[2001:db8::1]:5683", Name: "/a/b"},
		"mqtt://broker:1884/a/b":          {Kind: MQTT, Address: "broker:1884", Name: "a/b"},
		"mqtt://broker/topic1":            {Kind: MQTT, Address: "broker:1883", Name: "topic1"},
		"mqtts://broker/topic1":           {Kind: MQTT, Address: "broker:8883", Name: "topic1", Secure: true},
	} {
		if got, err := ParseDestination(uri); err != nil || got != want {
			t.Errorf("%s: got %+v, %v", uri, got, err)
		}
	}
	for _, bad := range []string{"", "coap://host", "coap://host/", "coap://:5683/x", "coap://host:0/x", "coap://host:99999/x", "mqtt://b", "mqtt://b/+/x", "mqtt://b/%23", "mqtts://b", "mqtts://u:p@b/t", "coaps://h/x", "local:///x", "coap://u:p@h/x"} {
		if got, err := ParseDestination(bad); err == nil {
			t.Errorf("%q is accepted: %+v", bad, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"local://1/temp_avg", "coap://endpoint1", "coap://[::1]:5683/x", "mqtt://b:1/t", "mqtt://b/%00", "mqtts://b/t"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		if e, err := ParseOrigin(uri); err == nil && (e.Name == "" || e.Address != "") {
			t.Errorf("origin %q: %+v", uri, e)
		}
		if e, err := ParseDestination(uri); err == nil && (e.Name == "" || (e.Kind == Local) != (e.Address == "")) {
			t.Errorf("destination %q: %+v", uri, e)
		}
	})
}
