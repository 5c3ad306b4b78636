package apiserver_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/apiserver"
	"github.com/edgehold/edgehold/agents/apiserver/apiservertest"
)

// TestEveryFailureIsAProblem sends what is wrong in every way that the server itself finds, and what a backend refuses.
func TestEveryFailureIsAProblem(t *testing.T) {
	s := serve(t)
	for _, c := range []struct {
		name, method, path, mediaType, body string
		status                              int
		code                                string
	}{
		{"unknown address", "GET", "/v2/policies", "", "", 404, "api.not-found"},
		{"root", "GET", "/", "", "", 404, "api.not-found"},
		{"documents from elsewhere", "GET", "/docs", "", "", 404, "api.not-found"},
		{"wrong method", "PATCH", "/v1/policies", "", "", 405, "api.method-not-allowed"},
		{"mode by POST", "POST", "/v1/mode", "application/json", `{"mode":"ml"}`, 405, "api.method-not-allowed"},
		{"unknown policy", "GET", "/v1/policies/nobody", "", "", 404, "policy.not-found"},
		{"no standby", "POST", "/v1/policies/nobody/rollback", "", "", 404, "policy.not-found"},
		{"not a module", "POST", "/v1/policies", "application/wasm", "hello", 422, "manifest.not-wasm"},
		{"no module", "POST", "/v1/policies", "application/wasm", "", 400, "api.bad-request"},
		{"module as text", "POST", "/v1/policies", "text/plain", "hello", 415, "api.bad-media-type"},
		{"form without a module", "POST", "/v1/policies", "multipart/form-data; boundary=x", "--x--\r\n", 422, "api.invalid"},
		{"broken form", "POST", "/v1/policies", "multipart/form-data; boundary=x", "nonsense", 422, "api.invalid"},
		{"parameter without a number", "POST", "/v1/policies?parameter=a", "application/wasm", "x", 422, "api.invalid"},
		{"unknown query", "GET", "/v1/policies?wacth=true", "", "", 422, "api.invalid"},
		{"bad number", "GET", "/v1/decisions?limit=many", "", "", 422, "api.invalid"},
		{"number out of range", "GET", "/v1/decisions?limit=1001", "", "", 422, "api.invalid"},
		{"unknown outcome", "GET", "/v1/decisions?outcome=fine", "", "", 422, "api.invalid"},
		{"bad time", "GET", "/v1/decisions?since=yesterday", "", "", 422, "api.invalid"},
		{"foreign cursor", "GET", "/v1/decisions?cursor=x", "", "", 400, "decision.bad-cursor"},
		{"bad mode", "PUT", "/v1/mode", "application/json", `{"mode":"auto"}`, 422, "api.invalid"},
		{"mode of the wrong type", "PUT", "/v1/mode", "application/json", `{"mode":1}`, 422, "api.invalid"},
		{"not JSON", "PUT", "/v1/mode", "application/json", `{`, 400, "api.bad-request"},
		{"empty body", "PUT", "/v1/mode", "application/json", ``, 400, "api.bad-request"},
		{"other encoding", "PUT", "/v1/mode", "application/xml", `<mode/>`, 415, "api.bad-media-type"},
		{"unknown field", "PUT", "/v1/mode", "application/json", `{"mode":"ml","for":"ever"}`, 422, "api.invalid"},
		{"number without unit", "POST", "/v1/mechanisms/CPUFrequency/apply", "application/json",
			`{"settings":[{"knob":"policy0/max_frequency","value":{"number":1800000}}]}`, 422, "mechanism.bad-unit"},
		{"D3.3 without unit", "POST", "/v1/mechanisms/CPUFrequency/apply", "application/json",
			`{"d33":{"command":"set","cpu":"all","frequency":"1800000"}}`, 422, "mechanism.bad-unit"},
		{"number and choice", "POST", "/v1/mechanisms/CPUFrequency/apply", "application/json",
			`{"settings":[{"knob":"k","value":{"number":1,"choice":"x"}}]}`, 422, "api.invalid"},
		{"nothing to set", "POST", "/v1/mechanisms/CPUFrequency/apply", "application/json", `{}`, 422, "api.invalid"},
		{"settings and D3.3", "POST", "/v1/mechanisms/CPUFrequency/apply", "application/json",
			`{"verb":"set","settings":[],"d33":{}}`, 422, "api.invalid"},
		{"unknown mechanism", "POST", "/v1/mechanisms/Warp/revert", "application/json", `{}`, 404, "mechanism.not-found"},
		{"version and module", "POST", "/v1/decisions/d/replay", "application/json", `{"version":"1","module":"AA=="}`, 422, "api.invalid"},
		{"no query", "GET", "/v1/metrics/query", "", "", 422, "api.invalid"},
		{"bad query", "GET", "/v1/metrics/query?query=sum(", "", "", 422, "metric.bad-query"},
		{"range backwards", "GET", "/v1/metrics/query_range?query=a&start=10&end=5", "", "", 422, "api.invalid"},
		{"too many steps", "GET", "/v1/metrics/query_range?query=a&start=0&end=100000&step=1s", "", "", 422, "api.invalid"},
		{"step of zero", "GET", "/v1/metrics/query_range?query=a&start=0&end=10&step=0s", "", "", 422, "api.invalid"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := s.fails(t, c.method, c.path, c.mediaType, strings.NewReader(c.body), int64(len(c.body)))
			if p.Status != c.status || p.Code != c.code {
				t.Errorf("got %d %s (%s), want %d %s", p.Status, p.Code, p.Detail, c.status, c.code)
			}
		})
	}
}

// fails sends a request and returns the problem, having checked that it has every part.
func (s *served) fails(t *testing.T, method, path, mediaType string, body io.Reader, length int64) api.Problem {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://edgehold"+path, body)
	if err != nil {
		t.Fatal(err)
	}
	request.ContentLength = length
	if mediaType != "" {
		request.Header.Set("Content-Type", mediaType)
	}
	response, err := s.raw(t).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	return readProblem(t, response)
}

func readProblem(t *testing.T, response *http.Response) (p api.Problem) {
	t.Helper()
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got := response.Header.Get("Content-Type"); got != api.ProblemContentType {
		t.Errorf("Content-Type %q: %s", got, text)
	}
	if err := json.Unmarshal(text, &p); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if p.Status != response.StatusCode || p.Type != api.ProblemType(p.Code) || p.Title == "" || p.Detail == "" || p.Why == "" || p.Hint == "" {
		t.Errorf("status %d, a part is missing: %s", response.StatusCode, text)
	}
	return p
}

func TestBodiesAreBounded(t *testing.T) {
	s := serve(t)
	t.Run("announced", func(t *testing.T) {
		// The length alone decides: not a byte of the body is ever sent.
		conn := s.dial(t)
		fmt.Fprintf(conn, "POST /v1/policies HTTP/1.1\r\nHost: x\r\nContent-Type: application/wasm\r\nContent-Length: 99999999\r\n\r\n")
		head := make([]byte, 512)
		n, err := conn.Read(head)
		if err != nil || !strings.HasPrefix(string(head[:n]), "HTTP/1.1 413 ") {
			t.Errorf("%v: %s", err, head[:n])
		}
	})
	t.Run("chunked", func(t *testing.T) {
		conn := s.dial(t)
		fmt.Fprintf(conn, "POST /v1/policies HTTP/1.1\r\nHost: x\r\nContent-Type: application/wasm\r\nTransfer-Encoding: chunked\r\n\r\n2000000\r\n")
		go io.Copy(conn, zeros{}) // ends when the server or the test closes the connection
		head := make([]byte, 512)
		if n, _ := conn.Read(head); !strings.HasPrefix(string(head[:n]), "HTTP/1.1 413 ") {
			t.Errorf("%s", head[:n])
		}
	})
	t.Run("asked before sending", func(t *testing.T) {
		_, err := s.client.UploadPolicy(t.Context(), make([]byte, 16<<20), api.UploadOptions{})
		expectCode(t, err, "api.too-large")
	})
	t.Run("small operations", func(t *testing.T) {
		body := `{"mode":"` + strings.Repeat("x", 300<<10) + `"}`
		if p := s.fails(t, "PUT", "/v1/mode", "application/json", strings.NewReader(body), int64(len(body))); p.Code != "api.too-large" {
			t.Errorf("got %s", p.Code)
		}
	})
	t.Run("slow", func(t *testing.T) {
		conn := serve(t, func(c *apiserver.Config) { c.BodyTimeout = 50 * time.Millisecond }).dial(t)
		fmt.Fprintf(conn, "PUT /v1/mode HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{")
		head := make([]byte, 512)
		if n, _ := conn.Read(head); !strings.HasPrefix(string(head[:n]), "HTTP/1.1 408 ") {
			t.Errorf("%s", head[:n])
		}
	})
	var codes []string
	for _, entry := range s.agent.Audit() {
		codes = append(codes, entry.Action+" "+entry.Code)
	}
	if got := strings.Join(codes, ", "); !strings.Contains(got, "POST /v1/policies api.too-large") || len(codes) != 4 {
		t.Errorf("the audit holds %s", got)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func (s *served) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("unix", s.socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestPanicBecomesAProblem(t *testing.T) {
	s := serve(t)
	s.agent.OnCall(func(operation string) {
		if operation == "mode.Get" {
			panic("boom")
		}
	})
	if p := s.fails(t, "GET", "/v1/mode", "", nil, 0); p.Code != "api.internal" || strings.Contains(p.Detail+p.Why, "boom") {
		t.Errorf("got %+v", p)
	}
	if _, err := s.client.Version(t.Context()); err != nil {
		t.Errorf("the server did not live on: %v", err)
	}
}

func TestErrorsBecomeStatuses(t *testing.T) {
	for err, want := range map[error]int{
		&apiservertest.Error{Code: "intake.too-large"}:              413,
		&apiservertest.Error{Code: "intake.unknown-import"}:         422,
		&apiservertest.Error{Code: "mechanism.held"}:                409,
		&apiservertest.Error{Code: "state.disk-full"}:               507,
		&apiservertest.Error{Code: "mechanism.not-supported"}:       501,
		&apiservertest.Error{Code: "state.read-only"}:               507,
		&apiservertest.Error{Code: "mechanism.read-only"}:           403,
		&apiservertest.Error{Code: "plain"}:                         422,
		errors.New("no code"):                                       500,
		fmt.Errorf("read: %w", context.DeadlineExceeded):            504,
		fmt.Errorf("write state: %w", os.ErrPermission):             500,
		fmt.Errorf("compile: write x: %w", syscall.ENOSPC):          507,
		fmt.Errorf("compile: write x: %w", syscall.EROFS):           507,
		fmt.Errorf("compile: open x: %w", syscall.EMFILE):           503,
		fmt.Errorf("x: %w", &apiservertest.Error{Code: "a.in-use"}): 409,
	} {
		if got := apiserver.StatusOf(err); got != want {
			t.Errorf("%T %v: got %d, want %d", err, err, got, want)
		}
	}
}

func TestTooManyAtOnceAreTurnedAway(t *testing.T) {
	s := serve(t, func(c *apiserver.Config) { c.MaxInFlight = 1 })
	entered, leave := make(chan struct{}), make(chan struct{})
	s.agent.OnCall(func(operation string) {
		if operation == "doctor.Examine" {
			close(entered)
			<-leave
		}
	})
	done := make(chan error)
	go func() {
		_, err := s.client.Doctor(context.WithoutCancel(t.Context()))
		done <- err
	}()
	<-entered
	if p := s.fails(t, "GET", "/v1/mode", "", nil, 0); p.Code != "api.busy" || p.Status != http.StatusServiceUnavailable {
		t.Errorf("got %+v", p)
	}
	close(leave)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestSlowBodiesLeaveRoom: callers who send half a module and wait keep nobody from reading.
func TestSlowBodiesLeaveRoom(t *testing.T) {
	s := serve(t, func(c *apiserver.Config) { c.MaxInFlight = 4 })
	for range 6 {
		conn, err := net.Dial("unix", s.socket)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprint(conn, "POST /v1/policies HTTP/1.1\r\nHost: x\r\nContent-Type: application/wasm\r\nContent-Length: 1000\r\n\r\nhalf")
	}
	for range 3 {
		if _, err := s.client.Mode(t.Context()); err != nil {
			t.Errorf("a reader beside slow bodies: %v", err)
		}
	}
}

func TestStopLetsRequestsFinish(t *testing.T) {
	s := serve(t)
	entered, leave := make(chan struct{}), make(chan struct{})
	s.agent.OnCall(func(operation string) {
		if operation == "doctor.Examine" {
			close(entered)
			<-leave
		}
	})
	answered := make(chan error)
	go func() {
		_, err := s.client.Doctor(context.WithoutCancel(t.Context()))
		answered <- err
	}()
	<-entered
	stopped := make(chan error)
	go func() { stopped <- s.stop() }()
	close(leave)
	if err := <-answered; err != nil {
		t.Errorf("the request in flight was lost: %v", err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}
