package docs

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// reaperVariable makes a process of this program a reaper; its value is the stage that it looks after.
const reaperVariable = "EDGEHOLD_DOCS_REAPER"

// reap starts a process that ends what was started from the stage in a folder, and takes the folder away, when the test has ended or
// this process has, however that was. Job control gives each job of a document a process group; guards have sessions, outlive their
// daemons and ignore all signals but one. So the processes are known by the environment that they have inherited.
func reap(t *testing.T, dir string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), reaperVariable+"="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // what ends our process group does not end it
	ours, err := cmd.StdinPipe()                         // which ends when we do
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ours.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("end what a document has left running: %v", err)
		}
	})
}

// reaper does what a reaper does if this process is one, and ends.
func reaper() {
	dir := os.Getenv(reaperVariable)
	if dir == "" {
		return
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	for signal(mark(dir), syscall.SIGKILL) > 0 {
		time.Sleep(10 * time.Millisecond)
	}
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// mark is in the environment of what was started from the stage in a folder.
func mark(dir string) string { return "EDGEHOLD_DOCS_STAGE=" + dir }

// signal reaches every process that has a mark and returns how many there were.
func signal(mark string, signal syscall.Signal) int {
	left := marked(mark)
	for _, pid := range left {
		_ = syscall.Kill(pid, signal)
	}
	return len(left)
}

// marked lists the processes that have a mark and still run.
func marked(mark string) (pids []int) {
	environs, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range environs {
		text, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(append([]byte{0}, text...), []byte("\x00"+mark+"\x00")) {
			continue
		}
		var pid int
		if _, err := fmt.Sscanf(path, "/proc/%d/environ", &pid); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// leftVariable has TestLeavesSomethingRunning do so.
const leftVariable = "EDGEHOLD_DOCS_LEAVE"

// TestLeavesSomethingRunning is the other process of TestNothingOutlivesUs.
func TestLeavesSomethingRunning(t *testing.T) {
	if os.Getenv(leftVariable) == "" {
		t.Skip("it is for TestNothingOutlivesUs")
	}
	s := newStage(t, "/none")
	guard := s.command(`trap "" TERM INT HUP; setsid sleep 1000 & wait`)
	if err := guard.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, "they run", func() bool { return len(marked(mark(s.dir))) == 2 })
	fmt.Println(leftVariable + "=" + s.dir)
	select {}
}

// A test that is killed leaves no process and no folder.
func TestNothingOutlivesUs(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	us := exec.Command(self, "-test.run=^TestLeavesSomethingRunning$")
	us.Env = append(os.Environ(), leftVariable+"=1")
	out, err := us.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := us.Start(); err != nil {
		t.Fatal(err)
	}
	lines, dir := bufio.NewScanner(out), ""
	for dir == "" && lines.Scan() {
		_, dir, _ = strings.Cut(lines.Text(), leftVariable+"=")
	}
	if err := us.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = us.Wait()
	if dir == "" {
		t.Fatal("it did not start anything")
	}
	await(t, "what it has left running has ended", func() bool { return len(marked(mark(dir))) == 0 })
	await(t, "its folder is gone", func() bool {
		_, err := os.Stat(dir)
		return os.IsNotExist(err)
	})
}
