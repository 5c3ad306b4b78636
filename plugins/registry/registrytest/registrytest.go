// Package registrytest runs a real OCI registry, that of the distribution project, for tests. It is not part of what is
// shipped: the registry is built from tools/registry, a module of its own.
package registrytest

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"testing"
)

// Username and Password are what a registry started with [WithLogin] wants.
const (
	Username = "ann"
	Password = "secret"
	htpasswd = Username + ":$2a$04$WbRi4UiaBw.EZn3KOH15l.ea1teElT1WtLkPJDWXjp7v4T0zSVh1K\n" // bcrypt, cost 4
)

// Option changes how a registry is started.
type Option func(*settings)

type settings struct{ login bool }

// WithLogin has the registry ask for Username and Password.
func WithLogin() Option { return func(s *settings) { s.login = true } }

// Start runs a registry on a free port of this machine until the test ends, and returns its host:port. It speaks plain
// HTTP, keeps what it is given in a folder of the test, and allows deleting.
func Start(t testing.TB, options ...Option) (host string) {
	t.Helper()
	if testing.Short() {
		t.Skip("building and running a registry takes a while")
	}
	program, err := build()
	if err != nil {
		t.Fatalf("build the registry: %v", err)
	}
	var s settings
	for _, o := range options {
		o(&s)
	}
	return run(t, program, s)
}

func run(t testing.TB, program string, s settings) string {
	t.Helper()
	config, err := configure(t.TempDir(), s)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "serve", config)
	cmd.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none")
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	host := make(chan string, 1)
	var reader sync.WaitGroup
	reader.Go(func() {
		defer close(host)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if m := listening.FindStringSubmatch(lines.Text()); m != nil {
				host <- m[1]
			}
		}
	})
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		reader.Wait()
		_ = cmd.Wait()
	})
	at, ok := <-host
	if !ok {
		t.Fatal("the registry ended before it listened")
	}
	return at
}

var listening = regexp.MustCompile(`listening on (127\.0\.0\.1:\d+)`)

// configure writes the registry's configuration and returns its path.
func configure(dir string, s settings) (string, error) {
	text := fmt.Sprintf("version: 0.1\nlog: {level: info}\nstorage:\n  filesystem: {rootdirectory: %q}\nhttp:\n  addr: 127.0.0.1:0\n",
		filepath.Join(dir, "content"))
	if s.login {
		users := filepath.Join(dir, "users")
		if err := os.WriteFile(users, []byte(htpasswd), 0o600); err != nil {
			return "", err
		}
		text += fmt.Sprintf("auth:\n  htpasswd: {realm: test, path: %q}\n", users)
	}
	path := filepath.Join(dir, "registry.yaml")
	return path, os.WriteFile(path, []byte(text), 0o600)
}

// build builds the registry where the Makefile's clean finds it, once for every process; others wait.
var build = sync.OnceValues(func() (string, error) {
	root, err := repository()
	if err != nil {
		return "", err
	}
	cache := filepath.Join(root, ".cache", "test")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	lock, err := os.Create(filepath.Join(cache, "registry.lock"))
	if err != nil {
		return "", err
	}
	defer func() { _ = lock.Close() }()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", err
	}
	program := filepath.Join(cache, "registry")
	cmd := exec.Command("go", "build", "-o", program, ".")
	cmd.Dir = filepath.Join(root, "tools", "registry")
	cmd.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return program, nil
})

// repository finds the root of the repository above the folder of the test.
func repository() (string, error) {
	dir, err := os.Getwd()
	for err == nil && dir != filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "tools", "registry", "go.mod")); err == nil {
			return dir, nil
		}
		dir = filepath.Dir(dir)
	}
	return "", fmt.Errorf("find tools/registry above the test: %w", errors.Join(err, os.ErrNotExist))
}
