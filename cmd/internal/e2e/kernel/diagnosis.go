//go:build linux

package kernel

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// monitor is the socket of qemu's monitor in a machine's folder.
const monitor = "monitor"

// diagnosis is what can be seen of a machine that does not answer, beside its console: which of qemu's threads run and where
// its processors are, twice.
func (m *Machine) diagnosis() string {
	var b strings.Builder
	for range 2 {
		fmt.Fprintf(&b, "qemu's threads, their state and processor time in ticks:\n%s", m.threads())
		for _, command := range []string{"info status", "info registers -a"} {
			answer, err := m.ask(command)
			if err != nil {
				answer = err.Error() + "\n" // no answer from the monitor is a finding, too
			}
			fmt.Fprintf(&b, "qemu's %s:\n%s", command, vectors.ReplaceAllString(answer, ""))
		}
	}
	return b.String()
}

// vectors are lines of registers that say nothing about where a processor is.
var vectors = regexp.MustCompile(`(?m)^(FPR|[XYZ]MM|Q)\d.*\n`)

// threads lists qemu's threads.
func (m *Machine) threads() string {
	var b strings.Builder
	stats, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", m.qemu.Process.Pid))
	for _, file := range stats {
		stat, _ := os.ReadFile(file)
		_, name, _ := strings.Cut(string(stat), "(")
		name, rest, _ := strings.Cut(name, ") ")
		if f := strings.Fields(rest); len(f) > 12 {
			wait, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "wchan"))
			fmt.Fprintf(&b, "%-20s %s %s+%s %s\n", name, f[0], f[11], f[12], wait)
		}
	}
	return b.String()
}

// ask gives the monitor a command for people. The monitor belongs to qemu's main loop, which may be what hangs.
func (m *Machine) ask(command string) (string, error) {
	c, err := net.Dial("unix", filepath.Join(m.dir, monitor))
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return "", err
	}
	send, receive := json.NewEncoder(c), json.NewDecoder(c)
	type arguments map[string]string
	type request struct {
		Execute   string    `json:"execute"`
		ID        string    `json:"id"`
		Arguments arguments `json:"arguments,omitempty"`
	}
	for _, r := range []request{
		{"qmp_capabilities", "hello", nil},
		{"human-monitor-command", "answer", arguments{"command-line": command}},
	} {
		if err := send.Encode(r); err != nil {
			return "", err
		}
	}
	for {
		var a struct {
			ID     string          `json:"id"`
			Return json.RawMessage `json:"return"`
		}
		if err := receive.Decode(&a); err != nil {
			return "", err
		}
		if a.ID == "answer" {
			var text string
			err := json.Unmarshal(a.Return, &text)
			return strings.ReplaceAll(text, "\r", ""), err
		}
	}
}
