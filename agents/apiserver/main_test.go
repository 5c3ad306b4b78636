package apiserver_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/apiclient"
	"github.com/edgehold/edgehold/agents/apiserver"
	"github.com/edgehold/edgehold/agents/apiserver/apiservertest"
	"github.com/edgehold/edgehold/wasmabi"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// then is when every test happens.
var then = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// served is a server on a unix socket with an agent in memory behind it.
type served struct {
	agent  *apiservertest.Agent
	client *apiclient.Client
	socket string
	server *apiserver.Server
	stop   func() error
}

// serve starts a server that stops with the test. Adjust changes its configuration.
func serve(t *testing.T, adjust ...func(*apiserver.Config)) *served {
	t.Helper()
	s := &served{agent: apiservertest.New(func() time.Time { return then }), socket: filepath.Join(shortDir(t), "s")}
	c := apiserver.Config{Socket: s.socket, Backend: s.agent.Backend(), Events: s.agent.Events, Version: api.Version{Version: "1.2.3", ABI: 1}}
	for _, f := range adjust {
		f(&c)
	}
	var err error
	if s.server, err = apiserver.New(c); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.server.Run(ctx) }()
	stopped := false
	s.stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-done
	}
	if s.client, err = apiclient.New(apiclient.Config{Socket: s.socket}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.client.Close()
		if err := s.stop(); err != nil {
			t.Errorf("Run ended with %v", err)
		}
	})
	return s
}

// shortDir is a folder whose name leaves room in a socket path.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "eh")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// raw is an HTTP client for what apiclient would not send.
func (s *served) raw(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{DialContext: dialUnix(s.socket)}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// module returns a module without code whose manifest has a name and a version.
func module(t testing.TB, name, version string, change ...func(*wasmabi.Manifest)) []byte {
	t.Helper()
	m := wasmabi.Manifest{Name: name, Version: version, Kind: wasmabi.KindPolicy, Layer: wasmabi.LayerNode, Scope: wasmabi.ScopeNode, ABI: 1,
		Mechanisms: []wasmabi.MechanismRequest{{Name: "CPUFrequency", Verbs: []string{"set"}}}}
	for _, f := range change {
		f(&m)
	}
	out, err := wasmabi.AppendManifest([]byte("\x00asm\x01\x00\x00\x00"), &m)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
