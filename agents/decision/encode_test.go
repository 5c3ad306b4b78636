package decision

import (
	"bytes"
	"context"
	"database/sql"
	"math"
	"testing"

	"github.com/edgehold/edgehold/agents"
)

func FuzzDecode(f *testing.F) {
	l := &Log{o: Options{}.withDefaults()}
	for _, seed := range []map[string]any{ // small ones: go test spends its time shrinking long ones
		{"ID": "d", "Time": "2026-01-02T03:04:05Z", "Outcome": "applied"},
		{"Trigger": map[string]any{"Kind": "wake", "Crossing": map[string]any{"Value": 3.5}}},
		{"Observation": map[string]any{"Readings": []any{map[string]any{"Name": "a", "Value": math.NaN()}}}},
		{"Plan": map[string]any{"Actions": []any{map[string]any{"Knob": "k", "Verb": "set"}}}},
		{"Results": []any{map[string]any{"Changes": []any{map[string]any{"Unit": "Hz"}}}}},
		{"Failure": map[string]any{"Phase": "plan"}, "Fuel": 1},
	} {
		b, err := encMode.Marshal(seed)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		d, err := decode(body)
		if err != nil {
			return
		}
		_ = Explain(d).String()
		r, err := l.encode(d)
		if err != nil {
			return // a time that has no text, say
		}
		again, err := decode(r.body)
		must(t, err)
		r2, err := l.encode(again)
		must(t, err)
		if !bytes.Equal(r.body, r2.body) {
			t.Error("decoding and encoding is not stable")
		}
	})
}

func TestOneDamagedRowHidesNoOther(t *testing.T) {
	l := open(t, Options{})
	ctx := t.Context()
	must(t, l.Begin(ctx, example(1, agents.Open), example(2, agents.Open), example(3, agents.Open)))
	must(t, l.db.Update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE decisions SET body = x'ff' WHERE id = 'd0002'`)
		return err
	}))
	p, err := l.List(ctx, Filter{})
	must(t, err)
	if len(p.Decisions) != 2 {
		t.Errorf("listed %v", ids(p))
	}
	if ds, err := l.Unfinished(ctx); err != nil || len(ds) != 2 {
		t.Errorf("%d unfinished, %v", len(ds), err)
	}
	if _, err := l.Get(ctx, "d0002"); err == nil {
		t.Error("the damaged one was read")
	}
}

func TestWhatIsNoTextStaysReadable(t *testing.T) {
	l := open(t, Options{MaxRecord: 10})
	d := example(1, agents.Open)
	d.Verdict.Why, d.Key.Policy = "caf\xe9", "p\xff"
	d.Record = make([]byte, 11)
	must(t, l.Begin(t.Context(), d))
	clear(l.newest)
	got, err := l.Get(t.Context(), d.ID)
	must(t, err)
	if got.Verdict.Why != d.Verdict.Why || got.Record != nil {
		t.Errorf("%+v", got)
	}
}
