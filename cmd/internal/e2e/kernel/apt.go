//go:build linux

package kernel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// apt downloads packages of one architecture from the archives that this machine is set up with. It keeps its own lists
// in a folder, so it works without root, for architectures that the machine does not have, and changes nothing outside.
type apt struct {
	dir     string
	options []string
}

func newApt(dir string, arch Arch) (*apt, error) {
	sources, err := debianSources("/etc/apt", "/etc/os-release")
	if err != nil {
		return nil, err
	}
	a := &apt{dir: dir}
	for _, d := range []string{"lists/partial", "cache/archives/partial", "parts"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return nil, err
		}
	}
	for name, contents := range map[string]string{"status": "", "parts/debian.sources": sources.stanzas, "parts/debian.list": sources.lines} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(contents), 0o644); err != nil {
			return nil, err
		}
	}
	a.set("APT::Architecture", string(arch))
	a.set("APT::Architectures::", string(arch))
	a.set("Dir::State", dir)
	a.set("Dir::State::lists", filepath.Join(dir, "lists"))
	a.set("Dir::State::status", filepath.Join(dir, "status"))
	a.set("Dir::Cache", filepath.Join(dir, "cache"))
	a.set("Dir::Etc::sourcelist", "/dev/null")
	a.set("Dir::Etc::sourceparts", filepath.Join(dir, "parts"))
	a.set("Acquire::Languages", "none")
	a.set("Acquire::IndexTargets::deb::DEP-11::DefaultEnabled", "false")
	if os.Geteuid() == 0 {
		a.set("APT::Sandbox::User", "root") // the unprivileged helper can't enter a folder in root's home
	}
	return a, nil
}

func (a *apt) set(option, value string) { a.options = append(a.options, "-o", option+"="+value) }

// helpersDelay is how long the helpers of a killed program may hold its output.
const helpersDelay = time.Second

// run runs one of apt's programs in the folder and returns what it printed.
func (a *apt) run(ctx context.Context, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, append(a.options, args...)...)
	cmd.Dir = a.dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	cmd.WaitDelay = helpersDelay
	var out, diagnosis bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &diagnosis
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", program, args[0], err, bytes.TrimSpace(diagnosis.Bytes()))
	}
	return out.String(), nil
}

// download fetches the package that a meta package stands for and returns its file.
func (a *apt) download(ctx context.Context, meta string) (deb string, err error) {
	if _, err := a.run(ctx, "apt-get", "-q", "update"); err != nil {
		return "", err
	}
	relations, err := a.run(ctx, "apt-cache", "depends", meta)
	if err != nil {
		return "", err
	}
	_, name, ok := strings.Cut(relations, "Depends: ")
	if !ok {
		return "", fmt.Errorf("find the package behind %s: it depends on nothing", meta)
	}
	name, _, _ = strings.Cut(name, "\n")
	if _, err := a.run(ctx, "apt-get", "-q", "download", name); err != nil {
		return "", err
	}
	debs, err := filepath.Glob(filepath.Join(a.dir, name+"_*.deb"))
	if err == nil && len(debs) == 0 {
		err = errors.New("apt-get left no file")
	}
	if err != nil {
		return "", fmt.Errorf("download %s: %w", name, err)
	}
	return debs[0], nil
}
