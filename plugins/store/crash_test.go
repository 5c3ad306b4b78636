package store

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

const (
	crashDirEnv  = "EDGEHOLD_TEST_STORE_CRASH_DIR"
	crashStepEnv = "EDGEHOLD_TEST_STORE_CRASH_STEP"
)

// What the child works with.
var (
	runs     = []byte(strings.Repeat("what runs ", 1000))
	next     = []byte(strings.Repeat("what comes next ", 1000))
	fetched  = []byte(strings.Repeat("what is downloaded ", 1000))
	obsolete = []byte("nobody needs this")
)

// crashChild works and kills itself at one step.
func crashChild(dir string) {
	at, _ := strconv.Atoi(os.Getenv(crashStepEnv))
	count := 0
	err := work(dir, os.Stdout, func(string) {
		if count++; count == at {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	})
	if err != nil {
		fmt.Println("fatal", err)
		os.Exit(1)
	}
}

// work stores, downloads and collects, and says what it was told is done.
func work(dir string, out io.Writer, step func(string)) error {
	ctx := context.Background()
	s, err := Open(dir, Options{step: step})
	if err != nil {
		return err
	}
	for _, content := range [][]byte{obsolete, next} {
		if _, err := s.Put(ctx, content); err != nil {
			return err
		}
	}
	fmt.Fprintln(out, "next")
	p, err := s.Partial(ctx, Digest(fetched), int64(len(fetched)))
	if err != nil {
		return err
	}
	for b := fetched[p.Offset():]; len(b) > 0; {
		n := min(len(b), 5000)
		if _, err := p.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	if err := p.Commit(); err != nil {
		return err
	}
	fmt.Fprintln(out, "fetched")
	if _, err = s.Collect(ctx, names(Digest(runs), Digest(next), Digest(fetched))); err != nil {
		return err
	}
	fmt.Fprintln(out, "end")
	return nil
}

func TestKillAtEveryWrite(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs SIGKILL")
	}
	for step := 1; ; step++ {
		dir := t.TempDir()
		put(t, open(t, dir, Options{}), string(runs))
		told := child(t, dir, step)
		verify(t, dir, told, step)
		if strings.Contains(told, "end") {
			if step < 15 {
				t.Errorf("only %d steps were tried", step)
			}
			return
		}
		var after bytes.Buffer
		if err := work(dir, &after, func(string) {}); err != nil {
			t.Errorf("can't go on after a kill at step %d: %v", step, err)
		}
		verify(t, dir, after.String(), step)
	}
}

func child(t *testing.T, dir string, step int) (told string) {
	t.Helper()
	exe, err := os.Executable()
	must(t, err)
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), crashDirEnv+"="+dir, crashStepEnv+"="+strconv.Itoa(step))
	out, _ := cmd.Output() // fails: it is killed
	if bytes.Contains(out, []byte("fatal")) {
		t.Fatalf("step %d: %s", step, out)
	}
	return string(out)
}

func verify(t *testing.T, dir, told string, step int) {
	t.Helper()
	s := open(t, dir, Options{})
	acknowledged := [][]byte{runs}
	for word, content := range map[string][]byte{"next\n": next, "fetched\n": fetched} {
		if strings.Contains(told, word) {
			acknowledged = append(acknowledged, content)
		}
	}
	for _, content := range acknowledged {
		got, err := s.Read(Digest(content))
		if err != nil || !bytes.Equal(got, content) {
			t.Errorf("killed at step %d: %q is lost: %v", step, content[:10], err)
		}
	}
	all, err := s.List()
	must(t, err)
	for _, e := range all { // whatever has its name has its content
		if _, err := s.Read(e.Digest); err != nil {
			t.Errorf("killed at step %d: %v", step, err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, tempPattern)); len(left) > 0 {
		t.Errorf("killed at step %d: left half written: %v", step, left)
	}
}
