package docs

import (
	"cmp"
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
func (s *stage) clone() string {
	s.t.Helper()
	to := filepath.Join(s.dir, "edgehold")
	for _, name := range tracked(s.t) {
		if err := copyFile(filepath.Join(repository, name), filepath.Join(to, name)); err != nil {
			s.t.Fatal(err)
		}
	}
	return to
}

func copyFile(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, text, info.Mode())
}

// programs builds the programs once and returns where they are.
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
// from it ends with the test, or with this process if that is ended.
type stage struct {
	t       *testing.T
	dir     string
	environ []string
	ports   map[string]string // an address in a document to a free one
}

// newStage makes a stage with the programs of a folder.
func newStage(t *testing.T, bin string) *stage {
	t.Helper()
	dir, err := os.MkdirTemp("", "docs-") // a short name, for the path of a unix socket has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{t: t, dir: dir, ports: freePorts(t)}
	reap(t, dir)
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
	// These lie below the home, which is another.
	s.environ = append(s.environ, "EDGEHOLD_TOOLCHAINS="+toolchain.Folder(), "RUSTUP_HOME="+cmp.Or(os.Getenv("RUSTUP_HOME"), filepath.Join(os.Getenv("HOME"), ".rustup")))
	s.environ = append(s.environ, mark(dir), "HOME="+s.dir+"/home", "TMPDIR="+s.dir+"/tmp", "PATH="+bin+":"+os.Getenv("PATH"))
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
	await(s.t, "the daemon listens", func() bool {
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

// await waits for what other processes bring about.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	const patience = time.Minute
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
