package decision

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/edgehold/edgehold/agents"
	"github.com/edgehold/edgehold/agents/state"
)

const crashDirEnv = "EDGEHOLD_TEST_DECISION_CRASH_DIR"

// TestMain lets the test binary be the process that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDirEnv); dir != "" {
		crashChild(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

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
		killOnce(t, dir, heard)
		verify(t, dir, heard)
	}
}

func killOnce(t *testing.T, dir string, heard map[string]string) {
	t.Helper()
	exe, err := os.Executable()
	must(t, err)
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), crashDirEnv+"="+dir)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	var kill *time.Timer // from the first line, however slow the machine
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			break
		}
		must(t, err)
		if what, id, ok := strings.Cut(strings.TrimSpace(line), " "); !ok || what == "fatal" {
			t.Fatal(line)
		} else {
			heard[id] = what
		}
		if kill == nil {
			kill = time.AfterFunc(time.Duration(rand.IntN(150))*time.Millisecond, func() { _ = cmd.Process.Kill() })
		}
	}
	_ = cmd.Wait()
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
