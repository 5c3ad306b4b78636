package extism

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/edgehold/edgehold/host"
)

// asked is a request as the kernel passes it on.
func asked(description, body string) []byte {
	in := binary.LittleEndian.AppendUint32(nil, uint32(len(description)))
	return append(append(in, description...), body...)
}

// transport answers without a network and notes where requests went.
type transport struct{ hosts []string }

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	t.hosts = append(t.hosts, r.URL.Hostname())
	if r.URL.Path == "/away" {
		return &http.Response{StatusCode: http.StatusFound, Header: http.Header{"Location": {"http://" + r.URL.RawQuery + "/"}}, Body: http.NoBody, Request: r}, nil
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("fine")), Request: r}, nil
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"example.com", "example.com", true}, {"example.com", "EXAMPLE.com", true}, {"example.com", "example.com.evil.org", false},
		{"*.example.com", "api.example.com", true}, {"*.example.com", "a.b.example.com", true}, {"*.example.com", "example.com", false},
		{"*.example.com", "evil-example.com", false}, {"api.*.com", "api.example.com", true}, {"a*b*c", "a1b2c", true}, {"a*b*c", "acb", false},
		{"aba*ba", "aba", false}, {"*", "anything", true}, {"", "", true}, {"", "a", false}, {"a**b", "ab", true},
	} {
		if got := matches(c.pattern, c.name); got != c.want {
			t.Errorf("%s and %s: %t", c.pattern, c.name, got)
		}
	}
}

func TestWebStaysWithinItsGrant(t *testing.T) {
	for url, denied := range map[string]bool{
		"http://good.example/": false, "https://good.example:8443/x": false, "http://evil.example/": true, "http://good.example@evil.example/": true,
		"file:///etc/passwd": true, "http://good.example/away?good.example": false, "http://good.example/away?evil.example": true,
		"HTTP://GOOD.example/": false, "//good.example/": true, "": true,
	} {
		tr := &transport{}
		_, err := newWeb([]string{"good.example"}, 1<<10, tr).Call(t.Context(), host.HTTPRequestOp, asked(fmt.Sprintf(`{"url":%q}`, url), ""), nil)
		if denied != errors.Is(err, host.ErrDenied) {
			t.Errorf("%s: %v", url, err)
		}
		for _, h := range tr.hosts {
			if !strings.EqualFold(h, "good.example") {
				t.Errorf("%s: a request went to %s", url, h)
			}
		}
	}
}

func TestWebBounds(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/long":
			io.WriteString(w, strings.Repeat("x", 2000))
		case "/round":
			http.Redirect(w, r, "/round", http.StatusFound)
		default:
			fmt.Fprintf(w, "%s %s", r.Method, r.Header.Get("X-A"))
			io.Copy(w, r.Body)
		}
	}))
	defer server.Close()
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	w := newWeb([]string{"127.0.0.1"}, 1000, tr)
	out, err := w.Call(t.Context(), host.HTTPRequestOp, asked(`{"url":"`+server.URL+`","method":"post","headers":{"x-a":"b"}}`, " body"), []byte("before"))
	if err != nil || !strings.HasPrefix(string(out), "before\xc8\x00\x00\x00") || !strings.HasSuffix(string(out), "POST b body") {
		t.Errorf("%q, %v", out, err)
	}
	if _, err := w.Call(t.Context(), host.HTTPRequestOp, asked(`{"url":"`+server.URL+`/long"}`, ""), nil); !errors.Is(err, errTooLong) {
		t.Error(err)
	}
	if _, err := w.Call(t.Context(), host.HTTPRequestOp, asked(`{"url":"`+server.URL+`/round"}`, ""), nil); err == nil {
		t.Error("went round and round")
	}
	for _, in := range [][]byte{nil, {1}, {255, 255, 255, 255}, asked("no JSON", ""), asked(`{"url":"http://127.0.0.1","method":"A B"}`, "")} {
		if _, err := w.Call(t.Context(), host.HTTPRequestOp, in, nil); !errors.Is(err, host.ErrInvalid) {
			t.Errorf("%q: %v", in, err)
		}
	}
	if _, err := w.Call(t.Context(), 9, asked(`{}`, ""), nil); !errors.Is(err, host.ErrInvalid) {
		t.Error(err)
	}
}

// FuzzWeb makes any request: none leaves the grant, and what comes back has its form.
func FuzzWeb(f *testing.F) {
	f.Add(asked(`{"url":"http://good.example/","method":"get","headers":{"a":"b"}}`, "body"))
	f.Add(asked(`{"url":"http://good.example/away?evil.example"}`, ""))
	f.Fuzz(func(t *testing.T, in []byte) {
		tr := &transport{}
		out, err := newWeb([]string{"good.example"}, 1<<10, tr).Call(t.Context(), host.HTTPRequestOp, in, nil)
		for _, h := range tr.hosts {
			if !strings.EqualFold(h, "good.example") {
				t.Errorf("a request went to %q", h)
			}
		}
		if err == nil && (len(out) < 8 || uint64(binary.LittleEndian.Uint32(out[4:])) > uint64(len(out)-8)) {
			t.Errorf("an answer without form: %x", out)
		}
	})
}

// FuzzParseManifest reads any manifest.
func FuzzParseManifest(f *testing.F) {
	f.Add(`{"config":{"a":"b"},"allowed_hosts":["*"],"memory":{"max_pages":4,"max_var_bytes":0},"timeout_ms":100,"wasm":[{"path":"x"}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		m, err := ParseManifest(strings.NewReader(text))
		if err == nil && (len(m.AllowedPaths) > 0 || len(m.Wasm) > 1 || uint64(m.limits().DeadlineMS) != m.TimeoutMS) {
			t.Errorf("%+v", m)
		}
	})
}
