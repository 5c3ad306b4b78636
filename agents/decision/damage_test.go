package decision

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/edgehold/edgehold/agents"
	"github.com/edgehold/edgehold/agents/state"
)

// A page that is lost takes the decisions that lay on it, and no others.
func TestDamageCostsOnlyWhatItHit(t *testing.T) {
	dir := t.TempDir()
	db, err := state.Open(t.Context(), dir, state.Options{})
	must(t, err)
	l, err := Open(t.Context(), db, Options{})
	must(t, err)
	const many = 400
	for n := range many {
		l.Note(example(n, agents.Landed))
	}
	must(t, db.Close())
	path := filepath.Join(dir, "edgehold.db")
	b, err := os.ReadFile(path)
	must(t, err)
	clear(b[len(b)/2&^4095:][:4096])
	must(t, os.WriteFile(path, b, 0o600))

	db, err = state.Open(t.Context(), dir, state.Options{})
	must(t, err)
	defer db.Close()
	l, err = Open(t.Context(), db, Options{})
	must(t, err)
	r := db.Report()
	if r.SetAside == "" || r.Salvaged < many/2 {
		t.Fatalf("report %+v", r)
	}
	p, err := l.List(t.Context(), Filter{Limit: maxLimit, Knob: "policy0/max_frequency"})
	must(t, err)
	if len(p.Decisions) < many/2 {
		t.Errorf("%d of %d decisions came back, %+v", len(p.Decisions), many, r)
	}
	must(t, l.Begin(t.Context(), example(many, agents.Open)))
}
