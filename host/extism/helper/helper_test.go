package helper

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

// asHelper makes this test program the helper, with a plugin that is no plugin.
const asHelper = "EDGEHOLD_TEST_HELPER"

func TestMain(m *testing.M) {
	if os.Getenv(asHelper) != "" || filepath.Base(os.Args[0]) == Program {
		if err := Serve(context.Background(), os.Stdin, os.Stdout, openEcho); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// hanging is the file that a confined helper makes in its folder once a call hangs.
const hanging = "hanging"

// echo answers with what it is given, and can be told to die.
type echo struct{ mortal bool }

func openEcho(_ context.Context, o *Order) (Plugin, error) {
	if o.Engine != EngineEdgehold {
		return nil, &Failure{Message: "no such engine", Code: "extism.engine", Why: "because", Hint: "use another"}
	}
	return echo{mortal: os.Getenv(asHelper) != "" || filepath.Base(os.Args[0]) == Program}, nil
}

func (echo) Exports() []string           { return []string{"echo"} }
func (echo) Warnings() []string          { return []string{"mind the step"} }
func (echo) Close(context.Context) error { return nil }

func (e echo) Call(_ context.Context, c Call) Answer {
	switch {
	case e.mortal && c.Export == "die":
		os.Stderr.WriteString("I am slain\n")
		os.Exit(3)
	case e.mortal && c.Export == "hang":
		_ = os.WriteFile(hanging, nil, 0o600)
		time.Sleep(time.Hour) // until it is killed
	case e.mortal && c.Export == "look":
		dir, _ := os.Getwd()
		return Answer{Output: []byte(dir + strings.Join(os.Environ(), " "))}
	case c.Export == "fail":
		return Answer{Returned: 7, Output: c.Input, Error: NewFailure(errors.New("I failed"))}
	}
	return Answer{Output: c.Input, Fuel: 5, Log: []Line{{"info", c.Export}}}
}

func start(t *testing.T, o *Order) (*Client, error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(asHelper, "1")
	return Start(t.Context(), self, o)
}

func TestCalls(t *testing.T) {
	c, err := start(t, &Order{Engine: EngineEdgehold})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][]string{c.Exports(), c.Warnings()}, [][]string{{"echo"}, {"mind the step"}}); diff != "" {
		t.Error(diff)
	}
	big := []byte(strings.Repeat("\x00\xff", 1<<20))
	for _, input := range [][]byte{[]byte("hello"), big} {
		a, err := c.Call("echo", input)
		if err != nil || string(a.Output) != string(input) || a.Fuel != 5 || len(a.Log) != 1 {
			t.Errorf("%d bytes came back, %v", len(a.Output), err)
		}
	}
	a, err := c.Call("fail", []byte("x"))
	if f, ok := errors.AsType[*Failure](err); !ok || f.Message != "I failed" || a.Returned != 7 || string(a.Output) != "x" {
		t.Errorf("%+v, %v", a, err)
	}
	if _, err := c.Call("echo", nil); err != nil {
		t.Errorf("after an error: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, err := c.Call("echo", nil); err == nil {
		t.Error("a call after Close")
	}
}

func TestRefusedOrder(t *testing.T) {
	_, err := start(t, &Order{Engine: "v8"})
	f, ok := errors.AsType[*Failure](err)
	if !ok || f.Code != "extism.engine" || f.Why != "because" || f.Hint != "use another" {
		t.Errorf("%v", err)
	}
}

func TestDeadHelper(t *testing.T) {
	c, err := start(t, &Order{Engine: EngineEdgehold})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, err = c.Call("die", nil)
		if f, ok := errors.AsType[*Failure](err); !ok || f.Code != "extism.helper-died" {
			t.Errorf("%v", err)
		}
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func TestCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(asHelper, "1")
	c, err := Start(ctx, self, &Order{Engine: EngineEdgehold})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	for err == nil { // the helper lives until it is killed
		_, err = c.Call("echo", nil)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// confined starts this test program under the helper's name, for it has no environment to tell by.
func confined(t *testing.T, most int64) (c *Client, dir string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	program := filepath.Join(dir, Program)
	if err := os.Symlink(self, program); err != nil {
		t.Fatal(err)
	}
	c, err = StartConfined(t.Context(), program, dir, most, &Order{Engine: EngineEdgehold})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, dir
}

func TestConfined(t *testing.T) {
	c, dir := confined(t, 1<<10)
	if a, err := c.CallContext(t.Context(), Call{Export: "look"}); err != nil || !strings.HasPrefix(string(a.Output), dir) || strings.Contains(string(a.Output), "PATH=") {
		t.Errorf("%q, %v", a.Output, err)
	}
	_, err := c.CallContext(t.Context(), Call{Export: "echo", Input: make([]byte, 4<<10)})
	if f, ok := errors.AsType[*Failure](err); !ok || f.Code != CodeDied || !c.Broken() {
		t.Errorf("an answer that is too long: %v", err)
	}
}

func TestCallThatHangs(t *testing.T) {
	c, dir := confined(t, 1<<10)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		defer cancel()
		for ctx.Err() == nil {
			if _, err := os.Stat(filepath.Join(dir, hanging)); err == nil {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	_, err := c.CallContext(ctx, Call{Export: "hang"})
	if f, ok := errors.AsType[*Failure](err); !ok || f.Code != CodeDeadline || !c.Broken() {
		t.Errorf("%v", err)
	}
	if _, err := c.CallContext(t.Context(), Call{Export: "echo"}); err == nil {
		t.Error("a helper that was ended answers")
	}
}

func TestNotInstalled(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := Find(); !errors.Is(err, ErrNotInstalled) {
		t.Error(err)
	}
	if _, err := Start(t.Context(), "/nowhere/edgehold-plugin", &Order{}); err == nil {
		t.Error("started what does not exist")
	}
}

// FuzzServe reads anything as orders and calls: it answers or ends, with an error or without.
func FuzzServe(f *testing.F) {
	f.Add([]byte(`{"engine":"edgehold"}{"export":"echo","input":"aGk="}`))
	f.Add([]byte(`{"engine":"other"}`))
	f.Add([]byte(`{"engine":"edgehold"}[]`))
	f.Fuzz(func(t *testing.T, in []byte) {
		var out strings.Builder
		_ = Serve(t.Context(), strings.NewReader(string(in)), &out, openEcho)
		d := json.NewDecoder(strings.NewReader(out.String()))
		for {
			var a Answer
			err := d.Decode(&a)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				t.Fatalf("%v: %q", err, out.String())
			}
		}
	})
}
