package main

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"sync"
)

// plug is the device: what a manufacturer would have built. It keeps its state in a file, as a real one keeps it in flash,
// so that a test can look inside.
type plug struct {
	file string

	mu    sync.Mutex
	token string
	state state
}

// state is what the plug shows.
type state struct {
	Serial string `json:"serial"`
	Relay  struct {
		On bool `json:"on"`
	} `json:"relay"`
	Fan struct {
		Percent float64 `json:"percent"`
		Auto    bool    `json:"auto"`
	} `json:"fan"`
	Changes int `json:"changes"`
}

// regulated is the speed that the plug's own regulation chooses.
const regulated = 40

func newPlug(file string) *plug {
	p := &plug{file: file}
	p.state.Serial, p.state.Fan.Percent, p.state.Fan.Auto = "4C11AE", regulated, true
	return p
}

// handler is the plug's REST interface.
func (p *plug) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/status", func(w http.ResponseWriter, _ *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		reply(w, p.state)
	})
	mux.HandleFunc("POST /api/v1/pair", func(w http.ResponseWriter, _ *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.token = rand.Text()
		reply(w, map[string]string{"token": p.token})
	})
	mux.HandleFunc("PUT /api/v1/relay", p.change(func(s *state, r io.Reader) error { return json.NewDecoder(r).Decode(&s.Relay) }))
	mux.HandleFunc("PUT /api/v1/fan", p.change(func(s *state, r io.Reader) error {
		s.Fan.Auto = false
		return json.NewDecoder(r).Decode(&s.Fan)
	}))
	mux.HandleFunc("DELETE /api/v1/fan", p.change(func(s *state, _ io.Reader) error {
		s.Fan.Auto, s.Fan.Percent = true, regulated
		return nil
	}))
	return mux
}

// change makes a handler of a change to the state, for those who have the token.
func (p *plug) change(f func(*state, io.Reader) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.token == "" || r.Header.Get("X-Token") != p.token {
			http.Error(w, "pair first", http.StatusUnauthorized)
			return
		}
		next := p.state
		if err := f(&next, io.LimitReader(r.Body, 1<<10)); err != nil || next.Fan.Percent < 0 || next.Fan.Percent > 100 {
			http.Error(w, "bad request", http.StatusBadRequest)
			return
		}
		next.Changes++
		p.state = next
		if err := p.save(); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		reply(w, p.state)
	}
}

// save replaces the file in one step.
func (p *plug) save() error {
	if p.file == "" {
		return nil
	}
	b, err := json.Marshal(p.state)
	if err != nil {
		return err
	}
	if err := os.WriteFile(p.file+".new", b, 0o644); err != nil {
		return err
	}
	return os.Rename(p.file+".new", p.file)
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}
