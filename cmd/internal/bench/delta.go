package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/edgehold/edgehold/plugins/delta"
	"github.com/edgehold/edgehold/plugins/pluginstest"
)

// deltaPolicy is a policy in standard Go. Its next version has one line more, with a text that moves all later texts, and
// every later line has another number.
const (
	deltaPolicy = "github.com/edgehold/edgehold/examples/01-cpu-boost"
	oneLine     = "	case busy > b.high:"
	changedLine = "	case busy > 100*b.high: return policy.Stay(\"the sensor says what can't be\")\n" + oneLine
)

// versions builds the policy as it is, and with one line changed.
func versions() (before, after []byte, err error) {
	if before, err = pluginstest.Go(deltaPolicy); err != nil {
		return nil, nil, err
	}
	where, err := exec.Command("go", "list", "-f", "{{.Dir}}", deltaPolicy).Output()
	if err != nil {
		return nil, nil, fmt.Errorf("find the policy: %w", err)
	}
	dir, err := os.MkdirTemp("", "edgehold-bench")
	if err != nil {
		return nil, nil, err
	}
	defer os.RemoveAll(dir)
	overlay, err := changed(filepath.Join(strings.TrimSpace(string(where)), "policy.go"), dir)
	if err != nil {
		return nil, nil, err
	}
	after, err = pluginstest.Go(deltaPolicy, "-overlay="+overlay)
	return before, after, err
}

// changed writes the source with its line changed, and the file that has the compiler take that one.
func changed(source, dir string) (overlay string, err error) {
	text, err := os.ReadFile(source)
	if err != nil {
		return "", err
	}
	if !bytes.Contains(text, []byte(oneLine)) {
		return "", fmt.Errorf("%s has no line %q", source, oneLine)
	}
	next := filepath.Join(dir, "policy.go")
	if err := os.WriteFile(next, bytes.Replace(text, []byte(oneLine), []byte(changedLine), 1), 0o600); err != nil {
		return "", err
	}
	raw, err := json.Marshal(map[string]any{"Replace": map[string]string{source: next}})
	if err != nil {
		return "", err
	}
	overlay = filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, raw, 0o600)
}

const kilobyte = 1000

// deltaBytes is the size of a delta against that of the module that it makes.
func deltaBytes(context.Context) (Measured, error) {
	before, after, err := versions()
	if err != nil {
		return Measured{}, err
	}
	d, err := delta.Encode(before, after)
	if err != nil {
		return Measured{}, err
	}
	made, err := delta.Apply(before, d, int64(len(after)))
	if err == nil && !bytes.Equal(made, after) {
		err = errors.New("the delta makes another module")
	}
	return Measured{float64(len(d)) / kilobyte, float64(len(after)) / kilobyte, "kB"}, err
}

// deltaApply is how long a node takes to make the module of what it has.
func deltaApply(context.Context) (Measured, error) {
	before, after, err := versions()
	if err != nil {
		return Measured{}, err
	}
	d, err := delta.Encode(before, after)
	if err != nil {
		return Measured{}, err
	}
	const rounds = 5
	best := time.Duration(1<<63 - 1)
	for range rounds {
		start := time.Now()
		if _, err := delta.Apply(before, d, int64(len(after))); err != nil {
			return Measured{}, err
		}
		best = min(best, time.Since(start))
	}
	return Measured{Ours: float64(best) / float64(time.Millisecond), Unit: "ms"}, nil
}
