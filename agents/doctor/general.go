package doctor

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/edgehold/edgehold/agents/api"
)

const (
	minFreeBytes  = 64 << 20
	warnFreeBytes = 512 << 20
	// oldestKernel is the first with everything that the default set-up uses; 5.4 is the oldest long-term release with it.
	oldestMajor, oldestMinor = 5, 4
)

// builtAfter is a time that a sane clock is past.
var builtAfter = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// Machine is what the general checks look at.
type Machine struct {
	// Root is the file system that /proc and /sys are read from: "/" but for recorded trees.
	Root string
	// Socket is the agent's unix socket; empty leaves the check out.
	Socket string
	// State is the agent's state folder; empty leaves the check out.
	State string
	// Now is the clock; nil is the real one.
	Now func() time.Time
}

// General returns the checks that need no agent.
func General(m Machine) []Check {
	if m.Root == "" {
		m.Root = "/"
	}
	if m.Now == nil {
		m.Now = time.Now
	}
	var checks []Check
	if m.Socket != "" {
		checks = append(checks, Check{"socket", m.socket})
	}
	if m.State != "" {
		checks = append(checks, Check{"state-folder", m.stateFolder}, Check{"disk-space", m.diskSpace})
	}
	return append(checks, Check{"clock", m.clock}, Check{"kernel", m.kernel}, Check{"memfd", memfd},
		Check{"cpufreq", m.cpufreq}, Check{"power-managers", m.powerManagers})
}

func (m Machine) socket(ctx context.Context) Result {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", m.Socket)
	switch {
	case err == nil:
		conn.Close()
		return OK("%s answers", m.Socket)
	case errors.Is(err, fs.ErrNotExist):
		return Fail("start edgeholdd, or name its socket with --socket", "there is no socket %s", m.Socket)
	case errors.Is(err, syscall.ECONNREFUSED):
		return Fail("start edgeholdd; it replaces the socket that a dead one left", "nobody listens on %s", m.Socket)
	case errors.Is(err, fs.ErrPermission):
		return Fail("run as root, or join the socket's group", "%s may not be used", m.Socket)
	}
	return Fail("check the path", "%s does not answer: %v", m.Socket, err)
}

// stateFolder writes and removes a file, because modes do not tell of read-only mounts.
func (m Machine) stateFolder(context.Context) Result {
	file, err := os.CreateTemp(m.State, ".doctor-*")
	if err != nil {
		return Fail("create the folder for the agent's user, or name another in the configuration", "%s can't be written: %v", m.State, err)
	}
	defer os.Remove(file.Name())
	_, writeErr := file.WriteString("ok")
	if err := errors.Join(writeErr, file.Sync(), file.Close()); err != nil {
		return Fail("free space on the disk, or check its health", "%s can't be written: %v", m.State, err)
	}
	return OK("%s can be written", m.State)
}

func (m Machine) diskSpace(context.Context) Result {
	var s unix.Statfs_t
	if err := unix.Statfs(m.State, &s); err != nil {
		return Warn("check the folder", "free space below %s is unknown: %v", m.State, err)
	}
	free := int64(s.Bavail) * int64(s.Bsize)
	text := api.FormatBytes(free)
	switch {
	case free < minFreeBytes:
		return Fail("free space: below it no decision can be recorded, so no policy acts", "only %s are free below %s", text, m.State)
	case free < warnFreeBytes:
		return Warn("free space before it runs out", "only %s are free below %s", text, m.State)
	}
	return OK("%s are free below %s", text, m.State)
}

func (m Machine) clock(context.Context) Result {
	now := m.Now()
	if now.Before(builtAfter) {
		return Warn("set the clock, or run an NTP client", "it says %s, which lies before this program was made", now.UTC().Format(time.RFC3339))
	}
	return OK("it says %s", now.UTC().Format(time.RFC3339))
}

func (m Machine) kernel(context.Context) Result {
	text, err := os.ReadFile(filepath.Join(m.Root, "proc/sys/kernel/osrelease"))
	if err != nil {
		return Warn("mount /proc", "its version is unknown: %v", err)
	}
	release := strings.TrimSpace(string(text))
	major, minor, ok := parseRelease(release)
	switch {
	case !ok:
		return Warn("check that it is 5.4 or newer", "its version %q is not understood", release)
	case major < oldestMajor || major == oldestMajor && minor < oldestMinor:
		return Warn("use 5.4 or newer", "%s is older than what Edgehold is tested on", release)
	}
	return OK("%s", release)
}

// parseRelease reads the first two numbers of a release such as 6.12.48-v8+.
func parseRelease(release string) (major, minor int, ok bool) {
	first, rest, found := strings.Cut(release, ".")
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(rest)
	}
	major, err1 := strconv.Atoi(first)
	minor, err2 := strconv.Atoi(rest[:end])
	return major, minor, found && err1 == nil && err2 == nil
}

// cpufreq looks for policies whose limits can be set (Documentation/admin-guide/pm/cpufreq.rst).
func (m Machine) cpufreq(context.Context) Result {
	folder := filepath.Join(m.Root, "sys/devices/system/cpu/cpufreq")
	policies, err := filepath.Glob(filepath.Join(folder, "policy[0-9]*"))
	if err != nil || len(policies) == 0 {
		return Warn("load the machine's cpufreq driver, or go on without CPUFrequency", "there is no cpufreq policy below %s", folder)
	}
	slices.Sort(policies)
	for _, policy := range policies {
		limit := filepath.Join(policy, "scaling_max_freq")
		if err := unix.Access(limit, unix.W_OK); err != nil {
			return Warn("run the agent as root, or give it the file; mount /sys so that it can be written", "%s can't be written: %v", limit, err)
		}
	}
	driver, _ := os.ReadFile(filepath.Join(policies[0], "scaling_driver"))
	return OK("%d policies of %s can be set", len(policies), strings.TrimSpace(string(driver)))
}

// rivals are programs that turn the same knobs, by the name that the kernel keeps (comm, at most 15 bytes).
var rivals = map[string]string{
	"tuned":           "stop it (systemctl disable --now tuned), or leave it the knobs that it sets",
	"power-profiles-": "stop it (systemctl disable --now power-profiles-daemon)",
	"tlp":             "stop it (systemctl disable --now tlp)",
	"auto-cpufreq":    "stop it (systemctl disable --now auto-cpufreq)",
	"cpufreqd":        "stop it (systemctl disable --now cpufreqd)",
	"thermald":        "keep it if the machine needs it; it may lower what Edgehold sets, which shows as drift",
	"system76-power":  "stop it (systemctl disable --now com.system76.PowerDaemon)",
}

func (m Machine) powerManagers(context.Context) Result {
	names, err := filepath.Glob(filepath.Join(m.Root, "proc/[0-9]*/comm"))
	if err != nil || len(names) == 0 {
		return Warn("mount /proc", "no process can be seen")
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it ended meanwhile
		}
		comm := strings.TrimSpace(string(text))
		if hint, found := rivals[comm]; found {
			return Warn(hint, "%s runs and sets the same knobs", comm)
		}
	}
	return OK("no other program that sets the same knobs runs")
}
