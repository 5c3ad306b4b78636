package store

import (
	"bytes"
	"context"
	"fmt"
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

// crashChild stores, downloads and collects, says what it was told is done, and kills itself at one step.
func crashChild(dir string) {
	at, _ := strconv.Atoi(os.Getenv(crashStepEnv))
	count := 0
	s, err := Open(dir, Options{step: func(string) {
		if count++; count == at {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}})
	say := func(what string, err error) {
		if err != nil {
			fmt.Println("fatal", what, err)
			os.Exit(1)
		}
		fmt.Println(what)
	}
	ctx := context.Background()
	say("opened", err)
	_, err = s.Put(ctx, obsolete)
	say("obsolete", err)
	_, err = s.Put(ctx, next)
	say("next", err)
	p, err := s.Partial(ctx, Digest(fetched), int64(len(fetched)))
	say("resumed", err)
	for b := fetched[p.Offset():]; len(b) > 0; {
		n := min(len(b), 5000)
		_, err := p.Write(b[:n])
		say("part", err)
		b = b[n:]
	}
	say("fetched", p.Commit())
	_, err = s.Collect(ctx, names(Digest(runs), Digest(next), Digest(fetched)))
	say("collected", err)
	fmt.Println("end")
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
		if told = child(t, dir, 0); !strings.Contains(told, "end") { // it goes on
			t.Errorf("after a kill at step %d: %s", step, told)
		}
		verify(t, dir, told, step)
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
