package decision

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/edgehold/edgehold/agents"
	"github.com/edgehold/edgehold/agents/state"
	"github.com/edgehold/edgehold/agents/state/crashtest"
)

func TestMain(m *testing.M) { crashtest.Main(m, crashChild) }

// crashChild decides for ever, and says when it acts.
func crashChild(dir string) {
	ctx := context.Background()
	check := func(err error) {
		if err != nil {
			fmt.Println("fatal", err)
			os.Exit(1)
		}
	}
	db, err := state.Open(ctx, dir, state.Options{FlushEvery: time.Millisecond})
	check(err)
	l, err := Open(ctx, db, Options{})
	check(err)
	go func() { check(db.Run(ctx)) }()
	open, err := l.Unfinished(ctx)
	check(err)
	for _, d := range open {
		d.Outcome = agents.Interrupted
		check(l.Finish(ctx, d))
	}
	for {
		d := example(0, agents.Open)
		d.ID = fmt.Sprintf("%016x", rand.Uint64())
		check(l.Begin(ctx, d))
		fmt.Println("acted", d.ID)
		dull := example(0, agents.NoPlan)
		dull.ID, dull.Key.Policy = fmt.Sprintf("%016x", rand.Uint64()), d.ID
		l.Note(dull)
		d.Outcome = agents.Landed
		check(l.Finish(ctx, d))
		fmt.Println("finished", d.ID)
	}
}

func TestKillLosesNothingThatWasActedOn(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs SIGKILL")
	}
	dir := t.TempDir()
	heard := make(map[string]string)            // id to the last thing said of it
	for n := 0; n < 6 || len(heard) < 20; n++ { // however slow the machine
		crashtest.KillOnce(t, dir, func(line string) {
			what, id, ok := strings.Cut(line, " ")
			if !ok || what == "fatal" {
				t.Fatal(line)
			}
			heard[id] = what
		})
		verify(t, dir, heard)
	}
}

func verify(t *testing.T, dir string, heard map[string]string) {
	t.Helper()
	ctx := t.Context()
	db, err := state.Open(ctx, dir, state.Options{})
	must(t, err)
	defer func() { must(t, db.Close()) }()
	l, err := Open(ctx, db, Options{})
	must(t, err)
	open, err := l.Unfinished(ctx)
	must(t, err)
	if len(open) > 1 { // the child before closed those of its predecessors
		t.Errorf("%d are unfinished", len(open))
	}
	for id, what := range heard {
		d, err := l.Get(ctx, id)
		if err != nil {
			t.Errorf("decision was %s, and is lost: %v", what, err)
			continue
		}
		if what == "finished" && d.Outcome != agents.Landed {
			t.Errorf("decision was finished, and is %s", d.Outcome)
		}
		if string(d.Record) != "recorded" {
			t.Error("its record is lost")
		}
	}
}
