package apiclient

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/edgehold/edgehold/agents/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNewRefuses(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none")
	for name, c := range map[string]struct {
		config Config
		want   string
	}{
		"nowhere":            {Config{}, "either a socket or a server"},
		"two places":         {Config{Socket: "a", Server: "b"}, "either a socket or a server"},
		"plain HTTP":         {Config{Server: "http://a:1", Token: "t"}, "https"},
		"no token":           {Config{Server: "a:1"}, "token"},
		"no such CA file":    {Config{Server: "a:1", Token: "t", CAFile: missing}, "read certificates"},
		"CA file without CA": {Config{Server: "a:1", Token: "t", CAFile: os.DevNull}, "no certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := New(c.config); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

// answering returns a client of a server that gives every request the same answer.
func answering(t *testing.T, handler http.HandlerFunc) *Client {
	t.Helper()
	dir, err := os.MkdirTemp("", "eh")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler}
	done := make(chan struct{})
	go func() { server.Serve(l); close(done) }()
	client, err := New(Config{Socket: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close(); <-done; os.RemoveAll(dir) })
	return client
}

func TestFailuresHaveCodes(t *testing.T) {
	reply := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status); io.WriteString(w, body) }
	}
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"a problem":          {reply(409, `{"code":"policy.no-standby","detail":"d","status":409}`), "policy.no-standby"},
		"another program":    {reply(404, "<html>"), "client.not-an-agent"},
		"JSON, no code":      {reply(500, "{}"), "client.not-an-agent"},
		"a broken answer":    {reply(200, `{"mode":`), "client.bad-answer"},
		"a closed one":       {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "client.unreachable"},
		"a redirect to away": {reply(302, ""), "client.not-an-agent"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := answering(t, c.handler).Mode(t.Context())
			var coded interface{ ErrorCode() string }
			if !errors.As(err, &coded) || coded.ErrorCode() != c.want {
				t.Errorf("got %v, want the code %s", err, c.want)
			}
		})
	}
}

func TestNamesAreEscaped(t *testing.T) {
	var asked string
	client := answering(t, func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.EscapedPath()
		io.WriteString(w, "{}")
	})
	if _, err := client.Policy(t.Context(), "../a b/c?d"); err != nil {
		t.Fatal(err)
	}
	if want := "/v1/policies/..%2Fa%20b%2Fc%3Fd"; asked != want {
		t.Errorf("asked %s, want %s", asked, want)
	}
}

func TestFiltersBecomeQueries(t *testing.T) {
	var asked string
	client := answering(t, func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.RawQuery
		io.WriteString(w, "{}")
	})
	since := time.Date(2026, 11, 21, 12, 0, 0, 5, time.UTC)
	client.Decisions(t.Context(), api.DecisionFilter{Policy: "p", Outcomes: []api.DecisionOutcome{"applied", "failed"}, Since: since, Limit: 3, Cursor: "c"})
	if want := "cursor=c&limit=3&outcome=applied&outcome=failed&policy=p&since=2026-11-21T12%3A00%3A00.000000005Z"; asked != want {
		t.Errorf("asked %s, want %s", asked, want)
	}
}

func TestContextEndsARequest(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	client := answering(t, func(_ http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() })
	if _, err := client.Mode(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
