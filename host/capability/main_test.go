package capability

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/wasmabi"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open makes the set of one request and returns its handle for one session.
func open(t *testing.T, r wasmabi.CapabilityRequest, c Config) host.Handle {
	t.Helper()
	s := Open([]wasmabi.CapabilityRequest{r}, c)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s.Handles()[0]
}

// wantCode checks an error's code and, for refusals, the status that the guest gets.
func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Code != code {
		t.Fatalf("got %v, want code %s", err, code)
	}
	refused := code == wasmabi.CodeNotGranted || code == wasmabi.CodeLimit
	if refused != errors.Is(err, host.ErrDenied) {
		t.Errorf("%v: denied is %t", err, !refused)
	}
}

// memory is a Store.
type memory struct {
	mu    sync.Mutex
	items map[string][]byte
}

func (m *memory) Get(_ context.Context, key string) ([]byte, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.items[key]
	return v, ok, nil
}

func (m *memory) Set(_ context.Context, key string, value []byte, most uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if uint64(len(key)+len(value)) > most {
		return ErrStoreFull
	}
	m.items[key] = value
	return nil
}

func (m *memory) Delete(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.items, key)
	return nil
}

func TestKV(t *testing.T) {
	r := wasmabi.CapabilityRequest{Name: "memory", Kind: wasmabi.CapabilityKV, Bytes: 16}
	h := open(t, r, Config{Store: &memory{items: map[string][]byte{}}})
	item := func(key, value string) []byte {
		return wasmabi.AppendItem(nil, &wasmabi.Item{Key: key, Value: []byte(value)})
	}
	_, err := h.Call(t.Context(), wasmabi.HandleKVGet, item("token", ""), nil)
	wantCode(t, err, wasmabi.CodeNotFound)
	if _, err := h.Call(t.Context(), wasmabi.HandleKVSet, item("token", "abc"), nil); err != nil {
		t.Fatal(err)
	}
	if got, err := h.Call(t.Context(), wasmabi.HandleKVGet, item("token", ""), []byte(">")); err != nil || string(got) != ">abc" {
		t.Errorf("got %q, %v", got, err)
	}
	_, err = h.Call(t.Context(), wasmabi.HandleKVSet, item("token", "much longer than that"), nil)
	wantCode(t, err, wasmabi.CodeLimit)
	if _, err := h.Call(t.Context(), wasmabi.HandleKVDelete, item("token", ""), nil); err != nil {
		t.Error(err)
	}
	_, err = h.Call(t.Context(), wasmabi.HandleKVGet, item("token", ""), nil)
	wantCode(t, err, wasmabi.CodeNotFound)
	for name, in := range map[string][]byte{"no key": item("", "x"), "garbage": {0xff}} {
		if _, err := h.Call(t.Context(), wasmabi.HandleKVGet, in, nil); !errors.Is(err, host.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := h.Call(t.Context(), 99, item("a", ""), nil); !errors.Is(err, host.ErrInvalid) {
		t.Errorf("unknown operation: %v", err)
	}
}

func TestLimitsOfRequestsAndRate(t *testing.T) {
	now := time.Unix(0, 0)
	r := wasmabi.CapabilityRequest{Name: "memory", Kind: wasmabi.CapabilityKV}
	s := Open([]wasmabi.CapabilityRequest{r}, Config{
		Store: &memory{items: map[string][]byte{}}, Limits: Limits{Requests: 2, PerMinute: 3}, Now: func() time.Time { return now },
	})
	use := func(h host.Handle) error {
		_, err := h.Call(t.Context(), wasmabi.HandleKVDelete, wasmabi.AppendItem(nil, &wasmabi.Item{Key: "a"}), nil)
		return err
	}
	first := s.Handles()[0]
	for range 2 {
		if err := use(first); err != nil {
			t.Fatal(err)
		}
	}
	wantCode(t, use(first), wasmabi.CodeLimit) // of the session
	second := s.Handles()[0]
	if err := use(second); err != nil {
		t.Fatal(err)
	}
	wantCode(t, use(second), wasmabi.CodeLimit) // of the minute
	now = now.Add(20 * time.Second)
	if err := use(s.Handles()[0]); err != nil {
		t.Errorf("after a third of a minute: %v", err)
	}
}

func TestJudge(t *testing.T) {
	http := wasmabi.CapabilityRequest{Name: "device", Kind: "http", Hosts: []string{"a.example.org:80", "*.example.org:443"}, Methods: []string{"GET", "PUT"}, Bytes: 100}
	file := wasmabi.CapabilityRequest{Name: "leds", Kind: "file", Paths: []string{"/sys/class/leds/*/brightness"}, Write: true}
	for _, test := range []struct {
		name    string
		request wasmabi.CapabilityRequest
		offers  []Offer
		granted bool
	}{
		{"nothing offered", http, nil, false},
		{"as asked", http, []Offer{{Kind: "http", Hosts: http.Hosts, Methods: http.Methods}}, true},
		{"from two offers", http, []Offer{{Kind: "http", Hosts: []string{"*.example.org:443"}, Methods: []string{"PUT", "GET"}},
			{Kind: "http", Hosts: []string{"*.example.org:80"}, Methods: []string{"GET", "PUT", "POST"}}}, true},
		{"one host of two", http, []Offer{{Kind: "http", Hosts: []string{"*.example.org:443"}, Methods: http.Methods}}, false},
		{"other port", http, []Offer{{Kind: "http", Hosts: []string{"a.example.org:81", "*.example.org:443"}, Methods: http.Methods}}, false},
		{"one method of two", http, []Offer{{Kind: "http", Hosts: http.Hosts, Methods: []string{"GET"}}}, false},
		{"fewer bytes", http, []Offer{{Kind: "http", Hosts: http.Hosts, Methods: http.Methods, Bytes: 99}}, false},
		{"the other kind", http, []Offer{{Kind: "coap", Hosts: http.Hosts, Methods: http.Methods}}, false},
		{"file as asked", file, []Offer{{Kind: "file", Paths: file.Paths, Write: true}}, true},
		{"file read only", file, []Offer{{Kind: "file", Paths: file.Paths}}, false},
		{"one file of many", file, []Offer{{Kind: "file", Paths: []string{"/sys/class/leds/red/brightness"}, Write: true}}, false},
		{"pattern in the pattern", file, []Offer{{Kind: "file", Paths: []string{"/sys/class/leds/*/bright*"}, Write: true}}, true},
		{"kv", wasmabi.CapabilityRequest{Kind: "kv", Bytes: 10}, []Offer{{Kind: "kv", Bytes: 10}}, true},
		{"larger kv", wasmabi.CapabilityRequest{Kind: "kv", Bytes: 11}, []Offer{{Kind: "kv", Bytes: 10}}, false},
		{"exec", wasmabi.CapabilityRequest{Kind: "exec"}, []Offer{{Kind: "kv"}, {Kind: "file", Paths: file.Paths}}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := Judge(&test.request, test.offers)
			if test.granted && err != nil {
				t.Error(err)
			} else if !test.granted {
				wantCode(t, err, wasmabi.CodeNotGranted)
			}
		})
	}
}

func TestOffersAreValidated(t *testing.T) {
	for name, o := range map[string]Offer{
		"exec": {Kind: "exec"}, "no kind": {}, "any host": {Kind: "http", Hosts: []string{"*:80"}, Methods: []string{"GET"}},
		"no method": {Kind: "http", Hosts: []string{"a:80"}}, "any file": {Kind: "file", Paths: []string{"/*"}},
		"no path": {Kind: "file"}, "kv with paths": {Kind: "kv", Paths: []string{"/run/x/y"}},
		"address with a name": {Kind: "http", Hosts: []string{"a:80"}, Methods: []string{"GET"}, Address: "b:80"},
	} {
		if o.Validate() == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	for _, o := range []Offer{{Kind: "kv"}, {Kind: "http", Hosts: []string{"a:80"}, Methods: []string{"GET"}, Address: "127.0.0.1:8080"}} {
		if err := o.Validate(); err != nil {
			t.Error(err)
		}
	}
}
