//go:build !wasm && !tinygo.wasm

package wasmabi

import (
	"errors"
	"strings"
	"testing"
)

func TestHostsThatReachTooFarAreRefused(t *testing.T) {
	for _, ok := range []string{
		"plug.example.org:80", "*.example.org:443", "plug:8080", "localhost:1", "192.0.2.7:65535", "[2001:db8::7]:80", "my_plug.local:80",
		"*.xn--bcher-kva.example:443",
	} {
		if what, hint := HostProblem(ok); what != "" {
			t.Errorf("%s: %s; %s", ok, what, hint)
		}
	}
	for _, bad := range []string{
		"", "*", "*:80", "*.org:80", "**.example.org:80", "a.*.example.org:80", "pl*.example.org:80", "*.*.example.org:80", "plug.example.org",
		"plug.example.org:0", "plug.example.org:080", "plug.example.org:65536", "plug.example.org:*", "plug.example.org:http", "plug.example.org:",
		"Plug.example.org:80", "plug.example.org.:80", ".example.org:80", "plug..org:80", "-plug.example.org:80", "bücher.example:80",
		"192.0.2.*:80", "*.168.1.1:80", "*.0.2.7:80", "127.1:80", "2130706433:80", "0x7f.0x1:80", "0x7f000001:80", "010.0.0.1:80", "192.0.2.0/24:80",
		"2001:db8::7:80", "[::ffff:127.0.0.1]:80", "[fe80::1%eth0]:80", "[2001:DB8::7]:80", "[192.0.2.7]:80", "user@plug.example.org:80",
		"http://plug.example.org:80", "plug.example.org:80/x", "plug example.org:80", "plug\x00.example.org:80", strings.Repeat("a.", 130) + "org:80",
	} {
		what, hint := HostProblem(bad)
		if what == "" || hint == "" {
			t.Errorf("%q: accepted, or refused without a hint", bad)
		}
	}
}

func TestPathsThatReachTooFarAreRefused(t *testing.T) {
	for _, ok := range []string{
		"/sys/class/leds/*/brightness", "/sys/class/hwmon/hwmon*/pwm[1-9]", "/run/plug/*.json", "/sys/class/leds/input0::capslock/brightness",
		"/etc/hostname", "/run/plug/lamp-*/state", "/sys/class/leds/*/*_trigger", "/run/plug/[ab]c*",
	} {
		if what, hint := PathProblem(ok, true); what != "" {
			t.Errorf("%s: %s; %s", ok, what, hint)
		}
	}
	if what, _ := PathProblem("/sys/class/leds/*/*", false); what != "" {
		t.Errorf("reading any attribute of a LED: %s", what)
	}
	for _, bad := range []string{
		"", "/", "*", "/*", "/**", "/sys/*", "/sys/*/leds/x", "/*/class/leds/x", "/s*/class/leds/x", "/etc/*", "/sys/class/*", "/sys/class/*/brightness",
		"/sys/class/leds/*/*", "/sys/class/leds/*/?", "/sys/class/leds/**/brightness", "sys/class/leds/x", "/sys/class/../x", "/sys//class/x", "/sys/class/x/",
		"/sys/class/./x", "/sys/class/leds/[", "/etc/cron.d/[^.]*", "/etc/[!-~]*", "/home/[a-z]*/x", "/sys/class/leds/x/*[^_]?", "/sys/class/leds/x/[a][b]*", "/sys/class/leds/x\x00", "/sys/class/leds/\\*/x", "/home/?/x", "/" + strings.Repeat("a/", 140) + "x",
	} {
		what, hint := PathProblem(bad, true)
		if what == "" || hint == "" {
			t.Errorf("%q: accepted, or refused without a hint", bad)
		}
	}
}

func FuzzReach(f *testing.F) {
	f.Add("*.example.org:443")
	f.Add("/sys/class/leds/*/brightness")
	f.Fuzz(func(t *testing.T, s string) {
		if what, _ := HostProblem(s); what == "" && strings.Count(s, "*") > 1 {
			t.Errorf("host %q has more than one *", s)
		}
		if what, _ := PathProblem(s, true); what == "" && (strings.Contains(s, "..") && strings.Contains("/"+s+"/", "/../") || s[0] != '/') {
			t.Errorf("path %q", s)
		}
	})
}

func TestValidateJudgesAdapters(t *testing.T) {
	if err := sampleAdapter().Validate(); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, field, code string
		breakIt           func(*Manifest)
	}{
		{"no mechanism", "provides.mechanism", "manifest.missing", func(m *Manifest) { m.Provides.Mechanism = "" }},
		{"lower case mechanism", "provides.mechanism", "manifest.mechanism-name", func(m *Manifest) { m.Provides.Mechanism = "plug" }},
		{"plans too", "mechanisms", "manifest.kind", func(m *Manifest) {
			m.Mechanisms = []MechanismRequest{{Name: "CPUFrequency", Verbs: []string{VerbNameSet}}}
		}},
		{"no reason", "capabilities[0].reason", "manifest.missing", func(m *Manifest) { m.Capabilities[0].Reason = "" }},
		{"no name", "capabilities[0].name", "manifest.name", func(m *Manifest) { m.Capabilities[0].Name = "" }},
		{"name twice", "capabilities[1].name", "manifest.duplicate", func(m *Manifest) { m.Capabilities[1].Name = "device" }},
		{"exec", "capabilities[2].kind", "manifest.exec", func(m *Manifest) { m.Capabilities[2].Kind = "exec" }},
		{"unknown kind", "capabilities[2].kind", "manifest.unknown", func(m *Manifest) { m.Capabilities[2].Kind = "socket" }},
		{"kv on the fallback", "capabilities[2].kind", "manifest.door", func(m *Manifest) { m.Door, m.Capabilities = DoorExtismSDK, m.Capabilities[:3] }},
		{"any host", "capabilities[0].hosts[0]", "manifest.host", func(m *Manifest) { m.Capabilities[0].Hosts[0] = "*:80" }},
		{"no host", "capabilities[3].hosts", "manifest.missing", func(m *Manifest) { m.Capabilities[3].Hosts = nil }},
		{"no method", "capabilities[0].methods", "manifest.missing", func(m *Manifest) { m.Capabilities[0].Methods = nil }},
		{"connect", "capabilities[0].methods[1]", "manifest.unknown", func(m *Manifest) { m.Capabilities[0].Methods[1] = "CONNECT" }},
		{"any path", "capabilities[1].paths[0]", "manifest.path", func(m *Manifest) { m.Capabilities[1].Paths[0] = "/*" }},
		{"kv with paths", "capabilities[2].paths", "manifest.conflict", func(m *Manifest) { m.Capabilities[2].Paths = []string{"/run/x/y"} }},
		{"http that writes", "capabilities[0].write", "manifest.conflict", func(m *Manifest) { m.Capabilities[0].Write = true }},
		{"file with hosts", "capabilities[1].hosts", "manifest.conflict", func(m *Manifest) { m.Capabilities[1].Hosts = []string{"a:1"} }},
		{"too many bytes", "capabilities[0].bytes", "manifest.range", func(m *Manifest) { m.Capabilities[0].Bytes = 1 << 20 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := sampleAdapter()
			tt.breakIt(m)
			var e *ManifestError
			if !errors.As(m.Validate(), &e) {
				t.Fatal("accepted")
			}
			if len(e.Problems) != 1 || e.Problems[0].Field != tt.field || e.ErrorCode() != tt.code || e.Problems[0].Hint == "" {
				t.Errorf("got %+v, want one problem of %s with code %s and a hint", e.Problems, tt.field, tt.code)
			}
		})
	}
}

func TestPoliciesHaveNoCapabilities(t *testing.T) {
	m := sampleManifest()
	m.Capabilities, m.Provides = sampleAdapter().Capabilities, sampleAdapter().Provides
	var e *ManifestError
	if !errors.As(m.Validate(), &e) || len(e.Problems) != 2 {
		t.Errorf("got %v", e)
	}
}
