package registry

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edgehold/edgehold/plugins/store"
)

// shelf is a node's modules and metadata.
type shelf struct {
	store    *store.Store
	editions map[string][]Edition
	trust    map[string][]byte
}

func (s *shelf) Editions(_ context.Context, name string) ([]Edition, error) {
	if s.editions[name] == nil {
		return nil, fs.ErrNotExist
	}
	return s.editions[name], nil
}

func (s *shelf) Module(digest string) ([]byte, error) { return s.store.Read(digest) }

func (s *shelf) Trust(context.Context) (map[string][]byte, error) { return s.trust, nil }

func startMirror(t *testing.T, s *shelf) (host string) {
	t.Helper()
	server := httptest.NewServer(Mirror(s))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func TestNodeAsMirror(t *testing.T) {
	first, second := module(t, "1.0.0", 60_000), module(t, "1.1.0+b", 60_000)
	origin := newVillain(t, artefact(t, second))
	s := &shelf{store: newStore(t), trust: map[string][]byte{"images/timestamp.json": []byte("t"), "images/1.root.json": []byte("r")}}
	for _, m := range [][]byte{first, second} {
		_, err := s.store.Put(t.Context(), m)
		must(t, err)
	}
	s.editions = map[string][]Edition{"load-follower": {{"1.1.0+b", store.Digest(second)}, {"1.0.0", store.Digest(first)}}}
	host := startMirror(t, s)
	c := client(t, Config{Mirrors: []string{host}})
	into := newStore(t)

	pulled, err := c.Pull(t.Context(), ref(t, "oci://%s/team/load-follower:1.0.0", origin.host()), into)
	must(t, err)
	if pulled.Digest != store.Digest(first) || pulled.Manifest.Host != host || pulled.Way != Whole {
		t.Errorf("%+v", pulled)
	}
	pulled, err = c.Pull(t.Context(), ref(t, "oci://%s/team/load-follower:1.1.0_b", origin.host()), into, pulled.Digest)
	must(t, err)
	if pulled.Digest != store.Digest(second) || pulled.Way != Delta || pulled.Received > 10_000 {
		t.Errorf("%+v", pulled)
	}
	if want := artefact(t, second).Manifest.Descriptor.Digest.String(); pulled.Manifest.Digest != want {
		t.Errorf("its manifest is %s, a push makes %s", pulled.Manifest.Digest, want)
	}
	tags, err := c.Tags(t.Context(), ref(t, "oci://%s/team/load-follower", host))
	if err != nil || strings.Join(tags, " ") != "1.0.0 1.1.0_b" {
		t.Errorf("tags %v, %v", tags, err)
	}
	got, err := c.Source(ref(t, "oci://%s/team/load-follower", origin.host())).Metadata(t.Context(), "images/1.root.json", 100)
	if err != nil || string(got) != "r" {
		t.Errorf("metadata %q, %v", got, err)
	}
	if _, err := c.Pull(t.Context(), ref(t, "oci://%s/other:1", host), into); code(err) != CodeNotFound {
		t.Errorf("what it has not: %v", err)
	}
	if _, err := c.Push(t.Context(), ref(t, "oci://%s/load-follower", host), module(t, "3", 10), PushOptions{}); err == nil {
		t.Error("something was pushed to it")
	}
}

func TestMirrorAnswers(t *testing.T) {
	m := module(t, "1", 1000)
	s := &shelf{store: newStore(t), editions: map[string][]Edition{"p": {{"1", store.Digest(m)}, {"0", store.Digest(nil)}}}}
	digest, err := s.store.Put(t.Context(), m)
	must(t, err)
	secret, err := s.store.Put(t.Context(), []byte("a module of another repository"))
	must(t, err)
	for _, tt := range []struct {
		method, path, header string
		status               int
	}{
		{"GET", "/v2/", "", 200},
		{"HEAD", "/v2/p/manifests/1", "", 200},
		{"GET", "/v2/p/manifests/2", "", 404},
		{"GET", "/v2/p/manifests/0", "", 404}, // its module is gone
		{"GET", "/v2/p/blobs/" + digest, "", 200},
		{"GET", "/v2/p/blobs/" + digest, "bytes=100-", 206},
		{"GET", "/v2/p/blobs/" + digest, "bytes=100000-", 416},
		{"GET", "/v2/p/blobs/" + secret, "", 404},
		{"GET", "/v2/p/blobs/../../etc/passwd", "", 404},
		{"GET", "/v2/P/manifests/1", "", 404},
		{"GET", "/v2/p/tags/list", "", 200},
		{"GET", "/v2/p/tags/other", "", 404},
		{"GET", "/v2/p/referrers/" + digest, "", 200},
		{"GET", "/v2/_catalog", "", 404},
		{"GET", "/", "", 404},
		{"GET", "/metrics", "", 404},
		{"POST", "/v2/p/blobs/uploads/", "", 405},
		{"PUT", "/v2/p/manifests/1", "", 405},
		{"DELETE", "/v2/p/manifests/1", "", 405},
	} {
		r := httptest.NewRequest(tt.method, "http://node"+tt.path, nil)
		if tt.header != "" {
			r.Header.Set("Range", tt.header)
		}
		w := httptest.NewRecorder()
		Mirror(s).ServeHTTP(w, r)
		if w.Code != tt.status {
			t.Errorf("%s %s: %d, want %d", tt.method, tt.path, w.Code, tt.status)
		}
		if w.Code == http.StatusPartialContent && !bytes.Equal(w.Body.Bytes(), m[100:]) {
			t.Error("a range has other bytes")
		}
	}
}

func TestMirrorIsBounded(t *testing.T) {
	m := Mirror(&shelf{store: newStore(t)})
	blocked := make(chan struct{})
	var clients atomic.Int64
	block := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.RemoteAddr = fmt.Sprintf("192.0.2.%d:1", clients.Add(1))
		m.ServeHTTP(&stuck{w, blocked}, r)
	})
	server := httptest.NewServer(block)
	defer server.Close()
	results := make(chan int, 2*maxInFlight)
	for range 2 * maxInFlight {
		go func() {
			response, err := http.Get(server.URL + "/v2/")
			if err != nil {
				results <- 0
				return
			}
			_, _ = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
			results <- response.StatusCode
		}()
	}
	for range maxInFlight {
		if status := <-results; status != http.StatusTooManyRequests {
			t.Errorf("status %d while all are at work", status)
		}
	}
	close(blocked)
	for range maxInFlight {
		if status := <-results; status != http.StatusOK {
			t.Errorf("status %d of one at work", status)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestOneClientLeavesRoomForOthers(t *testing.T) {
	s := &slots{of: map[string]int{}}
	var frees []func()
	for i := range 2 * maxInFlight {
		if free, ok := s.take(fmt.Sprintf("192.0.2.1:%d", i)); ok {
			frees = append(frees, free)
		}
	}
	if len(frees) != maxOfAddress {
		t.Errorf("one address has %d slots", len(frees))
	}
	for i := range 2 * maxInFlight {
		if free, ok := s.take(fmt.Sprintf("[2001:db8::%x]:1", i)); ok {
			frees = append(frees, free)
		}
	}
	if len(frees) != maxInFlight {
		t.Errorf("%d slots are taken", len(frees))
	}
	for _, free := range frees {
		free()
	}
	if s.all != 0 || len(s.of) != 0 {
		t.Errorf("%d slots, %d addresses are kept", s.all, len(s.of))
	}
}

// Each part of an answer has a deadline of its own.
func TestClientsThatDoNotRead(t *testing.T) {
	w := &deadlined{ResponseWriter: httptest.NewRecorder()}
	began := time.Now()
	_, err := newSteady(w).Write([]byte("x"))
	if err != nil || w.deadline.Before(began.Add(serveStallTime-time.Second)) || w.deadline.After(time.Now().Add(serveStallTime)) {
		t.Errorf("%v, the deadline is in %s", err, w.deadline.Sub(began))
	}
}

// deadlined notes the deadline that it is given.
type deadlined struct {
	http.ResponseWriter
	deadline time.Time
}

func (d *deadlined) SetWriteDeadline(t time.Time) error {
	d.deadline = t
	return nil
}

// stuck is a client that does not read, for all but refusals.
type stuck struct {
	http.ResponseWriter
	until <-chan struct{}
}

func (s *stuck) WriteHeader(status int) {
	if status == http.StatusOK {
		<-s.until
	}
	s.ResponseWriter.WriteHeader(status)
}
