package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPlug(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state.json")
	s := httptest.NewServer(newPlug(file).handler())
	defer s.Close()
	ask := func(method, path, body, token string) (int, string) {
		r, err := http.NewRequest(method, s.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Token", token)
		w, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Body.Close()
		b, err := io.ReadAll(w.Body)
		if err != nil {
			t.Fatal(err)
		}
		return w.StatusCode, string(b)
	}
	if code, _ := ask("PUT", "/api/v1/fan", `{"percent":50}`, ""); code != http.StatusUnauthorized {
		t.Errorf("without a token: %d", code)
	}
	_, answer := ask("POST", "/api/v1/pair", "", "")
	token := strings.Split(answer, `"`)[3]
	for _, step := range []struct {
		method, path, body, want string
		code                     int
	}{
		{"PUT", "/api/v1/relay", `{"on":true}`, `"relay":{"on":true}`, 200},
		{"PUT", "/api/v1/fan", `{"percent":50}`, `"fan":{"percent":50,"auto":false}`, 200},
		{"PUT", "/api/v1/fan", `{"percent":101}`, `"fan":{"percent":50,"auto":false}`, 400},
		{"PUT", "/api/v1/fan", `nonsense`, `"fan":{"percent":50,"auto":false}`, 400},
		{"DELETE", "/api/v1/fan", "", `"fan":{"percent":40,"auto":true}`, 200},
	} {
		if code, _ := ask(step.method, step.path, step.body, token); code != step.code {
			t.Errorf("%s %s: %d", step.method, step.path, code)
		}
		if saved, err := os.ReadFile(file); err != nil || !strings.Contains(string(saved), step.want) {
			t.Errorf("%s %s: saved %s, %v", step.method, step.path, saved, err)
		}
		if _, got := ask("GET", "/api/v1/status", "", ""); !strings.Contains(got, step.want) {
			t.Errorf("%s %s: shows %s", step.method, step.path, got)
		}
	}
}
