package apiserver_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/apiserver"
	"github.com/edgehold/edgehold/agents/apiserver/apiservertest"
)

// FuzzBodies sends any body to every operation that takes one. Whatever it is, the answer is a result or a problem with
// a code, and never the server's own fault.
func FuzzBodies(f *testing.F) {
	paths := []struct{ method, path string }{
		{"PUT", "/v1/mode"},
		{"POST", "/v1/mechanisms/CPUFrequency/apply"},
		{"POST", "/v1/mechanisms/CPUFrequency/revert"},
		{"POST", "/v1/decisions/d1/replay"},
		{"POST", "/v1/policies"},
	}
	for _, body := range []string{`{"mode":"ml"}`, `{"settings":[{"knob":"policy0/governor","value":{"choice":"powersave"}}]}`, `{"knobs":["a"]}`,
		`{"version":"1"}`, `{"d33":{"command":"set","frequency":"1 GHz"}}`, "--x\r\nContent-Disposition: form-data; name=\"module\"\r\n\r\nz\r\n--x--\r\n"} {
		for i := range paths {
			f.Add(uint8(i), "application/json", []byte(body))
		}
		f.Add(uint8(4), "multipart/form-data; boundary=x", []byte(body))
	}
	f.Add(uint8(4), "application/wasm", module(f, "p", "1.0.0"))
	agent := apiservertest.New(func() time.Time { return then })
	agent.Record(decision("d1"))
	handler := apiserver.Handler(apiserver.Config{Backend: agent.Backend(), Events: agent.Events})
	f.Fuzz(func(t *testing.T, which uint8, mediaType string, body []byte) {
		target := paths[int(which)%len(paths)]
		request := httptest.NewRequest(target.method, target.path, bytes.NewReader(body))
		request.Header.Set("Content-Type", mediaType)
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, request)
		response := recorder.Result()
		switch {
		case response.StatusCode >= http.StatusInternalServerError:
			t.Fatalf("%s %s: %d %s", target.method, target.path, response.StatusCode, recorder.Body)
		case response.StatusCode >= http.StatusBadRequest:
			if ct := response.Header.Get("Content-Type"); ct != api.ProblemContentType {
				t.Fatalf("%s %s: %d %s", target.method, target.path, response.StatusCode, ct)
			}
		}
	})
}
