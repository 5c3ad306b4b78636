//go:build linux

package main

import (
	"encoding/json"
	"net/http"

	"github.com/edgehold/edgehold/mechanisms"
	"github.com/edgehold/edgehold/mechanisms/cpufreq"
)

// handler turns HTTP into calls of the supervisor. An error is part of the answer, as its result is filled in too.
func handler(s *mechanisms.Supervisor) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /apply", func(w http.ResponseWriter, r *http.Request) {
		var c mechanisms.Command
		if err := json.NewDecoder(r.Body).Decode(&c); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		result, _ := s.Apply(r.Context(), c) // the result says why
		reply(w, result)
	})
	mux.HandleFunc("POST /revert", func(w http.ResponseWriter, r *http.Request) {
		reply(w, s.RevertAll(r.Context(), "asked to"))
	})
	mux.HandleFunc("GET /state", func(w http.ResponseWriter, r *http.Request) {
		state, err := s.State(r.Context(), cpufreq.Name)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		reply(w, state)
	})
	return mux
}

func reply(w http.ResponseWriter, v any) {
	json.NewEncoder(w).Encode(v) //nolint:errcheck // the caller has gone
}
