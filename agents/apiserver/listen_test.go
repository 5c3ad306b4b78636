package apiserver_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/apiclient"
	"github.com/edgehold/edgehold/agents/apiserver"
	"github.com/edgehold/edgehold/agents/apiserver/apiservertest"
	"github.com/edgehold/edgehold/agents/apiserver/token"
)

func TestConfigReportsEverything(t *testing.T) {
	_, err := apiserver.New(apiserver.Config{SocketMode: 0o666, TCP: &apiserver.TCP{Address: "nowhere"}})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"0666", "not host:port", "no TCP without TLS", "no TCP without tokens", "part Policies", "part Audit"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q:\n%v", want, err)
		}
	}
}

func TestSocket(t *testing.T) {
	backend := apiservertest.New(time.Now).Backend()
	listen := func(path string) error {
		server, err := apiserver.New(apiserver.Config{Socket: path, Backend: backend})
		if err != nil {
			return err
		}
		stopped, cancel := context.WithCancel(t.Context())
		cancel()
		return server.Run(stopped)
	}
	t.Run("mode", func(t *testing.T) {
		s := serve(t)
		info, err := os.Stat(s.socket)
		if err != nil || info.Mode().Perm() != 0o660 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
	})
	t.Run("left by a dead daemon", func(t *testing.T) {
		path := filepath.Join(shortDir(t), "s")
		dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
		if err != nil {
			t.Fatal(err)
		}
		dead.SetUnlinkOnClose(false)
		dead.Close()
		if err := listen(path); err != nil {
			t.Error(err)
		}
	})
	t.Run("of a live daemon", func(t *testing.T) {
		s := serve(t)
		expectCode(t, listen(s.socket), "api.socket-in-use")
		if _, err := s.client.Version(t.Context()); err != nil {
			t.Errorf("the live daemon lost its socket: %v", err)
		}
	})
	t.Run("of another program", func(t *testing.T) {
		path := filepath.Join(shortDir(t), "s")
		live, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer live.Close()
		expectCode(t, listen(path), "api.socket-in-use")
	})
	t.Run("not a socket", func(t *testing.T) {
		path := filepath.Join(shortDir(t), "s")
		os.WriteFile(path, []byte("precious"), 0o600)
		expectCode(t, listen(path), "api.not-a-socket")
		if text, _ := os.ReadFile(path); string(text) != "precious" {
			t.Error("the file was touched")
		}
	})
	t.Run("no folder", func(t *testing.T) {
		expectCode(t, listen(filepath.Join(shortDir(t), "no", "s")), "api.listen-failed")
	})
}

func TestConnectionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := apiserver.Bound(endless{}, 1)
		first, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		accepted := make(chan net.Conn, 1)
		go func() {
			conn, _ := l.Accept()
			accepted <- conn
		}()
		synctest.Wait()
		if len(accepted) != 0 {
			t.Error("a second connection was accepted beside the first")
		}
		first.Close()
		synctest.Wait()
		if len(accepted) != 1 {
			t.Error("the first connection's place was not given back")
		}
		go func() {
			conn, _ := l.Accept()
			accepted <- conn
		}()
		synctest.Wait()
		l.Close()
		(<-accepted).Close()
		if late := <-accepted; late != nil {
			t.Error("accepted after the end")
		}
	})
}

// endless accepts for ever.
type endless struct{}

func (endless) Accept() (net.Conn, error) { conn, _ := net.Pipe(); return conn, nil }
func (endless) Close() error              { return nil }
func (endless) Addr() net.Addr            { return nil }

func expectCode(t *testing.T, err error, want string) {
	t.Helper()
	var coded interface{ ErrorCode() string }
	if !errors.As(err, &coded) || coded.ErrorCode() != want {
		t.Errorf("got %v, want the code %s", err, want)
	}
}

// overTLS is a server on TCP with one token of each role.
type overTLS struct {
	*served
	ca, address string
	secrets     map[api.Role]string
	tokens      string
}

func serveTLS(t *testing.T) *overTLS {
	t.Helper()
	dir := shortDir(t)
	o := &overTLS{ca: filepath.Join(dir, "cert.pem"), tokens: filepath.Join(dir, "tokens"), secrets: map[api.Role]string{}}
	writeCertificate(t, o.ca, filepath.Join(dir, "key.pem"))
	for _, role := range []api.Role{api.RoleViewer, api.RoleOperator} {
		made, secret, err := token.New(string(role)+"1", role)
		if err != nil {
			t.Fatal(err)
		}
		if err := token.Append(o.tokens, made); err != nil {
			t.Fatal(err)
		}
		o.secrets[role] = secret
	}
	o.served = serve(t, func(c *apiserver.Config) {
		c.TCP = &apiserver.TCP{Address: "127.0.0.1:0", CertFile: o.ca, KeyFile: filepath.Join(dir, "key.pem"), TokenFile: o.tokens}
	})
	o.address = o.server.Addrs()[1].String()
	return o
}

func (o *overTLS) dialAs(t *testing.T, secret string) *apiclient.Client {
	t.Helper()
	client, err := apiclient.New(apiclient.Config{Server: o.address, Token: secret, CAFile: o.ca})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func TestTokens(t *testing.T) {
	s, ctx := serveTLS(t), t.Context()
	operator, viewer := s.dialAs(t, s.secrets[api.RoleOperator]), s.dialAs(t, s.secrets[api.RoleViewer])
	if _, err := operator.SetMode(ctx, api.ModeML); err != nil {
		t.Error(err)
	}
	if m, err := viewer.Mode(ctx); err != nil || m.SetBy != "token:operator1" {
		t.Errorf("viewer reads %+v, %v", m, err)
	}
	_, err := viewer.SetMode(ctx, api.ModeHeuristic)
	expectCode(t, err, "api.forbidden")
	last := s.agent.Audit()[len(s.agent.Audit())-1]
	if last.Actor != "token:viewer1" || last.Outcome != "refused" || last.Code != "api.forbidden" {
		t.Errorf("the audit holds %+v", last)
	}
	os.WriteFile(s.tokens, []byte("only viewer sha256:"+strings.Repeat("00", 32)+"\n"), 0o600)
	_, err = operator.Mode(ctx)
	expectCode(t, err, "api.bad-token")
}

func TestAStreamEndsWithItsToken(t *testing.T) {
	s := serveTLS(t)
	viewer := s.dialAs(t, s.secrets[api.RoleViewer])
	for range 2 {
		s.agent.Events.Publish(api.Event{Resource: api.ResourceMode, Kind: api.EventModeChanged})
	}
	var got []string
	for event, err := range viewer.Events(t.Context(), 1) {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, event.Kind); len(got) > 2 {
			break
		}
		if event.Kind == api.EventModeChanged {
			os.WriteFile(s.tokens, []byte("only viewer sha256:"+strings.Repeat("00", 32)+"\n"), 0o600)
			s.agent.Events.Publish(api.Event{Resource: api.ResourceMode, Kind: "mode.secret"})
		}
	}
	if want := []string{api.EventModeChanged, api.EventRevoked}; !slices.Equal(got, want) {
		t.Errorf("events %q, want %q", got, want)
	}
}

func TestWrongTokensAreSlowedDown(t *testing.T) {
	s := serveTLS(t)
	stranger := s.dialAs(t, "eh_guess")
	for range 5 {
		_, err := stranger.Mode(t.Context())
		expectCode(t, err, "api.bad-token")
	}
	_, err := stranger.Mode(t.Context())
	expectCode(t, err, "api.too-many-failures")
}

func TestTCPWithoutTLSOrToken(t *testing.T) {
	s := serveTLS(t)
	t.Run("plain HTTP", func(t *testing.T) {
		response, err := http.Get("http://" + s.address + "/v1/mode")
		if err == nil {
			response.Body.Close()
			if response.StatusCode != http.StatusBadRequest {
				t.Errorf("answered with %d", response.StatusCode)
			}
		}
		http.DefaultClient.CloseIdleConnections()
	})
	roots := x509.NewCertPool()
	text, _ := os.ReadFile(s.ca)
	roots.AppendCertsFromPEM(text)
	t.Run("TLS 1.2", func(t *testing.T) {
		if conn, err := tls.Dial("tcp", s.address, &tls.Config{RootCAs: roots, MaxVersion: tls.VersionTLS12}); err == nil {
			conn.Close()
			t.Error("accepted")
		}
	})
	t.Run("no token", func(t *testing.T) {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
		defer transport.CloseIdleConnections()
		response, err := (&http.Client{Transport: transport}).Get("https://" + s.address + "/v1/mode")
		if err != nil {
			t.Fatal(err)
		}
		if p := readProblem(t, response); p.Code != "api.no-token" || response.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("got %+v", p)
		}
	})
	t.Run("unknown authority", func(t *testing.T) {
		client, _ := apiclient.New(apiclient.Config{Server: s.address, Token: "x"})
		defer client.Close()
		_, err := client.Mode(t.Context())
		expectCode(t, err, "client.bad-certificate")
	})
}

func TestCertificateRotates(t *testing.T) {
	s := serveTLS(t)
	before := s.dialAs(t, s.secrets[api.RoleViewer])
	if _, err := before.Mode(t.Context()); err != nil {
		t.Fatal(err)
	}
	writeCertificate(t, s.ca, filepath.Join(filepath.Dir(s.ca), "key.pem"))
	later := time.Now().Add(time.Minute) // whatever the clock of the file system
	if err := os.Chtimes(s.ca, later, later); err != nil {
		t.Fatal(err)
	}
	after := s.dialAs(t, s.secrets[api.RoleViewer]) // trusts the new certificate alone
	if _, err := after.Mode(t.Context()); err != nil {
		t.Errorf("the new certificate is not served: %v", err)
	}
	os.WriteFile(s.ca, []byte("half a file"), 0o600)
	after.Close()
	if _, err := after.Mode(t.Context()); err != nil {
		t.Errorf("a broken file took the server down: %v", err)
	}
}

func writeCertificate(t *testing.T, certFile, keyFile string) {
	t.Helper()
	if err := apiservertest.WriteCertificate(certFile, keyFile); err != nil {
		t.Fatal(err)
	}
}
