// Package crashtest kills a test's own program while it works on a folder, so that a test can look whether everything is
// there that the program had said was done. It says nothing about disks that lose what they were told to keep: only the
// process dies.
package crashtest

import (
	"bufio"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	"go.uber.org/goleak"
)

const dirEnv = "EDGEHOLD_TEST_CRASH_DIR"

// Main is a TestMain that lets the test's program be the process that is killed: there it runs child in place of the tests.
// The child says a line for each thing that is done, for as long as it lives.
func Main(m *testing.M, child func(dir string)) {
	if dir := os.Getenv(dirEnv); dir != "" {
		child(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

// KillOnce runs the child on a folder, kills it some time after its first line, however slow the machine, and hands every
// whole line that it said to hear.
func KillOnce(t *testing.T, dir string, hear func(line string)) {
	t.Helper()
	exe, err := os.Executable()
	must(t, err)
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), dirEnv+"="+dir)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	defer func() { _ = cmd.Wait() }()
	defer func() { _ = cmd.Process.Kill() }() // should a line end the test
	var kill *time.Timer
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			break // a line that was cut was not heard
		}
		must(t, err)
		hear(line[:len(line)-1])
		if kill == nil {
			kill = time.AfterFunc(time.Duration(rand.IntN(150))*time.Millisecond, func() { _ = cmd.Process.Kill() })
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
