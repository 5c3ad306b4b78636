// Package plugtest starts the device of example 05, a smart plug that speaks HTTP, in a process of its own, and looks inside. It is for
// tests of what adapters do to devices.
package plugtest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Plug is a device process.
type Plug struct {
	Address string // host:port
	Stop    func() // ends the process; at the end of the test at the latest

	t    *testing.T
	file string // of its state
}

// Regulated is where the plug keeps its fan by itself, in percent.
const Regulated = 40

// Start starts a plug. Its address is of this machine and nobody else's, so that another plug can be started there when it is gone.
func Start(t *testing.T) *Plug {
	t.Helper()
	return StartAt(t, fmt.Sprintf("127.%d.%d.%d:0", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254)))
}

// StartAt starts a plug that listens on an address.
func StartAt(t *testing.T, address string) *Plug {
	t.Helper()
	program, err := program()
	if err != nil {
		t.Fatal(err)
	}
	p := &Plug{t: t, file: filepath.Join(t.TempDir(), "plug.json")}
	cmd := exec.Command(program, "-listen", address, "-state", p.file)
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	p.Stop = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	t.Cleanup(p.Stop)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("start a plug on %s: %v", address, err)
	}
	p.Address = strings.TrimSpace(line)
	return p
}

// program builds the plug, once in a process.
var program = sync.OnceValues(func() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	dir := filepath.Join(cache, "edgehold", "test-programs")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	next, path := filepath.Join(dir, fmt.Sprintf("plug.%d", os.Getpid())), filepath.Join(dir, "plug")
	if out, err := exec.Command("go", "build", "-o", next, "github.com/edgehold/edgehold/examples/05-rest-device/device").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the plug: %w\n%s", err, out)
	}
	return path, os.Rename(next, path)
})

// Fan is what the plug itself says of its fan.
func (p *Plug) Fan() (percent float64, auto bool) {
	p.t.Helper()
	b, err := os.ReadFile(p.file)
	if errors.Is(err, fs.ErrNotExist) {
		return Regulated, true
	}
	var s struct {
		Fan struct {
			Percent float64
			Auto    bool
		}
	}
	if err := errors.Join(err, json.Unmarshal(b, &s)); err != nil {
		p.t.Fatal(err)
	}
	return s.Fan.Percent, s.Fan.Auto
}

// Turns reports whether the fan turns at so many percent; regulated by the plug itself or set from outside, as that says.
func (p *Plug) Turns(percent float64) bool {
	p.t.Helper()
	now, auto := p.Fan()
	return now == percent && auto == (percent == Regulated)
}
