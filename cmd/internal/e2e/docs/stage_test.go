package docs

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/edgehold/edgehold/cmd/internal/e2e/port"
	"github.com/edgehold/edgehold/plugins/toolchain"
)

// repository is the root of the module.
const repository = "../../../.."

// tracked lists the files of the repository as a clone of it would have them, and those that are about to be added.
func tracked(t *testing.T, pathspec ...string) []string {
	t.Helper()
	args := append([]string{"-C", repository, "ls-files", "-z", "--cached", "--others", "--exclude-standard"}, pathspec...)
	out, err := exec.Command("git", args...).Output()
	if err != nil {
		t.Skipf("this is no clone of a git repository, so nobody knows which files belong to it: %v", err)
	}
	var files []string
	for name := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		if _, err := os.Lstat(filepath.Join(repository, name)); err == nil {
			files = append(files, name)
		}
	}
	return files
}

// clone copies the repository, so that documents can build in it without touching ours.
func clone(t *testing.T) string {
	t.Helper()
	to := filepath.Join(folder(t), "edgehold")
	for _, name := range tracked(t) {
		text, err := os.ReadFile(filepath.Join(repository, name))
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(repository, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(to, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, name), text, info.Mode()); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// folder makes a folder with a short name, for the path of a unix socket has at most 107 bytes.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "docs-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// programs builds the two programs once and returns where they are.
var programs = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "docs-bin-")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("make", "-C", repository, "build", "BIN="+dir, "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return dir, fmt.Errorf("make build: %w\n%s", err, text)
	}
	return dir, nil
})

// stage is a person's place at a machine: a home, a folder to work in, the programs on the path. Whatever is started
// from it ends with the test.
type stage struct {
	t       *testing.T
	dir     string
	environ []string
	mark    string
	ports   map[string]string // an address in a document to a free one
}

func newStage(t *testing.T) *stage {
	t.Helper()
	bin, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{t: t, dir: folder(t), ports: freePorts(t)}
	s.mark = "EDGEHOLD_DOCS_STAGE=" + s.dir
	for _, below := range []string{"etc", "home", "tmp", "work"} {
		if err := os.Mkdir(filepath.Join(s.dir, below), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "EDGEHOLD_") && !strings.HasPrefix(e, "GOFLAGS=") {
			s.environ = append(s.environ, e)
		}
	}
	s.environ = append(s.environ, goEnvironment(t)...)
	s.environ = append(s.environ, "EDGEHOLD_TOOLCHAINS="+toolchain.Folder()) // it is in a cache below the home, which is another
	s.environ = append(s.environ, s.mark, "EDGEHOLD_TOOLCHAINS="+toolchain.Folder(), "HOME="+s.dir+"/home", "TMPDIR="+s.dir+"/tmp", "PATH="+bin+":"+os.Getenv("PATH"))
	t.Cleanup(s.clear)
	return s
}

// freePorts finds a free port for each that documents name.
func freePorts(t *testing.T) map[string]string {
	t.Helper()
	free := map[string]string{}
	for _, address := range ports {
		free[address] = port.Address(t)
	}
	return free
}

// goEnvironment keeps Go's caches and settings where they are although the home is another.
func goEnvironment(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("go", "env", "-json", "GOCACHE", "GOMODCACHE", "GOPATH", "GOPROXY", "GOSUMDB", "GONOSUMDB", "GOPRIVATE").Output()
	if err != nil {
		t.Fatal(err)
	}
	var env map[string]string
	if err := json.Unmarshal(out, &env); err != nil {
		t.Fatal(err)
	}
	environ := []string{"GOFLAGS=-trimpath -buildvcs=false", "CGO_ENABLED=0"}
	for name, value := range env {
		environ = append(environ, name+"="+value)
	}
	return environ
}

func (s *stage) work() string { return filepath.Join(s.dir, "work") }

// daemon starts an agent on a recorded machine; EDGEHOLD_SOCKET leads to it.
func (s *stage) daemon() {
	s.t.Helper()
	socket, machine := filepath.Join(s.dir, "edgehold.sock"), filepath.Join(s.dir, "machine")
	s.environ = append(s.environ, "EDGEHOLD_SOCKET="+socket)
	s.run("edgeholdd recorded " + machine)
	log, err := os.Create(filepath.Join(s.dir, "daemon.log"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	cmd := s.command("exec edgeholdd run --set state_directory=" + s.dir + "/state --set mechanism_plugins.root=" + machine + " --set api.socket=$EDGEHOLD_SOCKET")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			text, _ := os.ReadFile(log.Name())
			s.t.Errorf("the daemon ended with %v:\n%s", err, text)
		}
	})
	await(s.t, "the daemon listens", 30*time.Second, func() bool {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

func (s *stage) command(script string) *exec.Cmd {
	cmd := exec.Command("bash", "-c", script)
	cmd.Dir, cmd.Env = s.work(), s.environ
	return cmd
}

func (s *stage) run(script string) {
	s.t.Helper()
	if text, err := s.command(script).CombinedOutput(); err != nil {
		s.t.Fatalf("%s: %v\n%s", script, err, text)
	}
}

// clear ends what a document has left running. Job control gives each job a process group and the guard has a session,
// so the processes are known by the environment that they inherited.
func (s *stage) clear() {
	deadline := time.Now().Add(5 * time.Second)
	await(s.t, "everything has ended", 15*time.Second, func() bool {
		if time.Now().After(deadline) {
			return s.signal(syscall.SIGKILL) == 0
		}
		return s.signal(syscall.SIGTERM) == 0
	})
}

// signal reaches every process of the stage and returns how many there were.
func (s *stage) signal(signal syscall.Signal) int {
	left := s.processes()
	for _, pid := range left {
		_ = syscall.Kill(pid, signal)
	}
	return len(left)
}

// processes lists those that were started from this stage and still run.
func (s *stage) processes() []int {
	var pids []int
	environs, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range environs {
		text, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(text, []byte(s.mark+"\x00")) {
			continue
		}
		var pid int
		if _, err := fmt.Sscanf(path, "/proc/%d/environ", &pid); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// await waits for what other processes bring about.
func await(t *testing.T, what string, patience time.Duration, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}
