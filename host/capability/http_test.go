package capability

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/edgehold/edgehold/wasmabi"
)

const plug = "plug.example.org:80"

func request(hosts ...string) wasmabi.CapabilityRequest {
	return wasmabi.CapabilityRequest{Name: "device", Kind: "http", Hosts: hosts, Methods: []string{"GET", "PUT"}, Bytes: 64}
}

// at offers what a request asks for, and says where it is.
func at(r wasmabi.CapabilityRequest, address string) Config {
	return Config{Offers: []Offer{{Kind: r.Kind, Hosts: r.Hosts, Methods: r.Methods, Address: address}}}
}

// names is a Resolver that never asks anybody.
type names map[string]string

func (n names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	a, ok := n[host]
	if !ok {
		return nil, errors.New("no such host")
	}
	return []netip.Addr{netip.MustParseAddr(a)}, nil
}

func serve(t *testing.T, f http.HandlerFunc) (address string) {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func get(t *testing.T, r wasmabi.CapabilityRequest, c Config, m *wasmabi.HTTPRequest) (wasmabi.HTTPResponse, error) {
	t.Helper()
	if m.Method == "" {
		m.Method = "GET"
	}
	out, err := open(t, r, c).Call(t.Context(), wasmabi.HandleHTTP, wasmabi.AppendHTTPRequest(nil, m), nil)
	var response wasmabi.HTTPResponse
	if err == nil {
		err = wasmabi.DecodeHTTPResponse(out, &response)
	}
	return response, err
}

func TestHTTP(t *testing.T) {
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Seen", r.Method+" "+r.Host+r.URL.Path+" "+r.Header.Get("X-Token"))
		w.WriteHeader(http.StatusTeapot)
		w.Write(body)
	})
	r := request(plug)
	got, err := get(t, r, at(r, address), &wasmabi.HTTPRequest{
		Method: "PUT", URL: "http://" + plug + "/relay/0", Header: []wasmabi.Label{{Name: "x-token", Value: "s3cret"}}, Body: []byte(`{"on":true}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	seen := ""
	for _, h := range got.Header {
		if h.Name == "x-seen" {
			seen = h.Value
		}
	}
	if got.Status != http.StatusTeapot || string(got.Body) != `{"on":true}` || seen != "PUT plug.example.org:80/relay/0 s3cret" {
		t.Errorf("got %+v", got)
	}
}

func TestHTTPRefuses(t *testing.T) {
	address := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("it was reached") })
	for name, m := range map[string]wasmabi.HTTPRequest{
		"another host":       {URL: "http://other.example.org:80/"},
		"another port":       {URL: "http://plug.example.org:81/"},
		"no port":            {URL: "http://plug.example.org/"},
		"a user":             {URL: "http://me:pw@plug.example.org:80/"},
		"host in a user":     {URL: "http://plug.example.org:80@other.example.org:80/"},
		"a file":             {URL: "file:///etc/passwd"},
		"upper case":         {URL: "http://PLUG.example.org:80/"},
		"a dot at the end":   {URL: "http://plug.example.org.:80/"},
		"another method":     {Method: "DELETE", URL: "http://plug.example.org:80/"},
		"connect":            {Method: "CONNECT", URL: "http://plug.example.org:80/"},
		"a method with junk": {Method: "GET / HTTP/1.1\r\nX: ", URL: "http://plug.example.org:80/"},
		"a bad URL":          {URL: "http://plug.example.org:80/%zz"},
		"the host's header":  {URL: "http://plug.example.org:80/", Header: []wasmabi.Label{{Name: "hOST", Value: "x"}}},
		"a proxy header":     {URL: "http://plug.example.org:80/", Header: []wasmabi.Label{{Name: "proxy-authorization", Value: "x"}}},
	} {
		t.Run(name, func(t *testing.T) {
			r := request(plug)
			_, err := get(t, r, at(r, address), &m)
			wantCode(t, err, wasmabi.CodeNotGranted)
		})
	}
	t.Run("a long body", func(t *testing.T) {
		r := request(plug)
		_, err := get(t, r, at(r, address), &wasmabi.HTTPRequest{Method: "PUT", URL: "http://" + plug + "/", Body: make([]byte, 65)})
		wantCode(t, err, wasmabi.CodeLimit)
	})
	t.Run("what the node no longer offers", func(t *testing.T) {
		r := request(plug, "other.example.org:80")
		_, err := get(t, r, at(request(plug), address), &wasmabi.HTTPRequest{URL: "http://other.example.org:80/"})
		wantCode(t, err, wasmabi.CodeNotGranted)
	})
	t.Run("a header with a line break", func(t *testing.T) {
		r := request(plug)
		_, err := get(t, r, at(r, address), &wasmabi.HTTPRequest{URL: "http://" + plug + "/", Header: []wasmabi.Label{{Name: "a", Value: "b\r\nHost: c"}}})
		if err == nil {
			t.Error("accepted")
		}
	})
}

// A name that leads to the machine itself, or to a metadata service, does not widen a grant.
func TestHTTPJudgesAddresses(t *testing.T) {
	address := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("inside")) })
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	for _, leads := range []string{
		"127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "169.254.169.254", "fe80::1", "0.0.0.0", "::", "0.1.2.3", "255.255.255.255",
		"224.0.0.1", "ff02::1", "fd00:ec2::254", "100.100.100.200", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::",
	} {
		t.Run(leads, func(t *testing.T) {
			target := "plug.example.org:" + port
			r := request(target)
			c := at(r, "")
			c.Resolver = names{"plug.example.org": leads}
			_, err := get(t, r, c, &wasmabi.HTTPRequest{URL: "http://" + target + "/"})
			wantCode(t, err, wasmabi.CodeNotGranted)
		})
	}
	reached := func(t *testing.T, r wasmabi.CapabilityRequest, c Config, target string) {
		got, err := get(t, r, c, &wasmabi.HTTPRequest{URL: "http://" + target + "/"})
		if err != nil || string(got.Body) != "inside" {
			t.Errorf("got %+v, %v", got, err)
		}
	}
	t.Run("the address itself, granted exactly", func(t *testing.T) { reached(t, request(address), at(request(address), ""), address) })
	t.Run("localhost, granted exactly", func(t *testing.T) {
		target := "localhost:" + port
		c := at(request(target), "")
		c.Resolver = names{"localhost": "127.0.0.1"}
		reached(t, request(target), c, target)
	})
	t.Run("asked for exactly, offered by a pattern", func(t *testing.T) {
		target := "a.example.org:" + port
		c := at(request("*.example.org:"+port), "")
		c.Resolver = names{"a.example.org": "127.0.0.1"}
		_, err := get(t, request(target), c, &wasmabi.HTTPRequest{URL: "http://" + target + "/"})
		wantCode(t, err, wasmabi.CodeNotGranted)
	})
	t.Run("private addresses are where devices are", func(t *testing.T) {
		for _, a := range []string{"10.0.0.7", "192.168.1.7", "172.16.0.1", "fd12::1", "100.64.0.1"} {
			if why := forbidden(netip.MustParseAddr(a)); why != "" {
				t.Errorf("%s is %s", a, why)
			}
		}
	})
}

func TestRedirectsAreJudged(t *testing.T) {
	to := ""
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/end" {
			w.Write([]byte("end"))
			return
		}
		http.Redirect(w, r, to, http.StatusTemporaryRedirect)
	})
	follow := func(t *testing.T, where string) (wasmabi.HTTPResponse, error) {
		to = where
		r := request(plug)
		return get(t, r, at(r, address), &wasmabi.HTTPRequest{URL: "http://" + plug + "/start"})
	}
	for _, where := range []string{"/end", "http://plug.example.org/end", "http://plug.example.org:80/end"} {
		if got, err := follow(t, where); err != nil || string(got.Body) != "end" {
			t.Errorf("%s: got %+v, %v", where, got, err)
		}
	}
	for _, where := range []string{
		"http://169.254.169.254/latest/meta-data/", "http://localhost:80/end", "https://plug.example.org/end", "http://other.example.org/end",
		"http://plug.example.org:8080/end", "http://me@plug.example.org/end", "file:///etc/passwd",
	} {
		t.Run(where, func(t *testing.T) {
			_, err := follow(t, where)
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v", err)
			}
		})
	}
	t.Run("for ever", func(t *testing.T) {
		_, err := follow(t, "/start")
		wantCode(t, err, wasmabi.CodeLimit)
	})
}

func TestServersThatMisbehave(t *testing.T) {
	stop := make(chan struct{})
	for _, test := range []struct {
		name, code string
		handler    http.HandlerFunc
	}{
		{"a long answer", wasmabi.CodeLimit, func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 65)) }},
		{"an endless answer", wasmabi.CodeLimit, func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<10)); err != nil {
					return
				}
			}
		}},
		{"an answer that lies about its length", wasmabi.CodeUnreached, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "60")
			w.Write([]byte("short"))
		}},
		{"a huge header", wasmabi.CodeUnreached, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 1<<17)) }},
		{"silence", wasmabi.CodeUnreached, func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-stop:
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := request(plug)
			c := at(r, serve(t, test.handler))
			c.Limits.Timeout = 200 * time.Millisecond
			_, err := get(t, r, c, &wasmabi.HTTPRequest{URL: "http://" + plug + "/"})
			wantCode(t, err, test.code)
		})
	}
	close(stop)
	t.Run("nobody", func(t *testing.T) {
		r := request(plug)
		_, err := get(t, r, at(r, "127.0.0.1:1"), &wasmabi.HTTPRequest{URL: "http://" + plug + "/"})
		wantCode(t, err, wasmabi.CodeUnreached)
	})
	t.Run("many headers are cut", func(t *testing.T) {
		r := request(plug)
		got, err := get(t, r, at(r, serve(t, func(w http.ResponseWriter, _ *http.Request) {
			for i := range 80 {
				w.Header().Set("X-"+strings.Repeat("a", i+1), "v\xff")
			}
		})), &wasmabi.HTTPRequest{URL: "http://" + plug + "/"})
		if err != nil || len(got.Header) == 0 || len(got.Header) > wasmabi.MaxHeaders {
			t.Errorf("%d headers, %v", len(got.Header), err)
		}
	})
}

func FuzzHTTPRequest(f *testing.F) {
	f.Add("GET", "http://plug.example.org:80/x", "x-a", "b")
	f.Add("GET", "http://plug.example.org:80@evil:80/", "host", "b")
	h := newHTTP(&wasmabi.CapabilityRequest{Kind: "http", Hosts: []string{plug, "*.example.net:443"}, Methods: []string{"GET"}}, Config{
		Offers: []Offer{{Kind: "http", Hosts: []string{plug, "*.example.net:443"}, Methods: []string{"GET"}}},
	})
	f.Fuzz(func(t *testing.T, method, url, name, value string) {
		r, err := h.request(t.Context(), &wasmabi.HTTPRequest{Method: method, URL: url, Header: []wasmabi.Label{{Name: name, Value: value}}})
		if err != nil {
			return
		}
		if r.Method != "GET" || r.URL.Host != plug && !strings.HasSuffix(r.URL.Host, ".example.net:443") || r.Host != r.URL.Host {
			t.Errorf("%s %s as %s", r.Method, r.URL, r.Host)
		}
	})
}
