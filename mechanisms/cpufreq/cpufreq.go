// Package cpufreq drives the frequency of CPUs through Linux' cpufreq subsystem, whichever kernel driver serves it:
// acpi-cpufreq, intel_pstate in both modes, amd-pstate in its three, cpufreq-dt, raspberrypi and their like. It is
// not the safety core: it makes one attempt at each write and remembers nothing; [mechanisms.Supervisor] does the rest.
//
// A knob belongs to a policy, the kernel's word for the CPUs that share a clock. For each policyN:
//
//	policyN/max_frequency, policyN/min_frequency      Hz, the window in which the governor moves (scaling_{max,min}_freq)
//	policyN/governor                                  who moves it (scaling_governor)
//	policyN/setspeed                                  Hz, while the governor is userspace (scaling_setspeed)
//	policyN/energy_performance_preference             a hint to hardware that decides by itself
//	policyN/current_frequency                         Hz, read-only (scaling_cur_freq)
//
// and for the machine "turbo", on or off. In commands "all/KNOB" stands for every policy, "cpu3/KNOB" for the policy
// of CPU 3, and the knob "frequency" for both ends of the window at once.
package cpufreq

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/edgehold/edgehold/mechanisms"
	"github.com/edgehold/edgehold/mechanisms/internal/sysfs"
)

// Name is the mechanism's name.
const Name = "CPUFrequency"

// cpuDir is where the kernel shows CPUs, below the root.
const cpuDir = "sys/devices/system/cpu"

// Driver is the mechanism driver. It is not safe for use by several goroutines.
type Driver struct {
	dir  *sysfs.Dir
	tree string         // tells a recorded tree from the machine in Knob.Driver; empty = the machine
	seen map[int]policy // the last that was read of each policy, for the time when its CPUs are offline
}

var _ interface {
	mechanisms.Driver
	mechanisms.Resolver
	mechanisms.Explainer
	mechanisms.Reporter
} = (*Driver)(nil)

// ErrNotSupported means that the machine, or the tree, has no CPU frequency scaling.
var ErrNotSupported = errors.New("the kernel offers no CPU frequency scaling here")

// Open opens the cpufreq tree below root; "/" or nothing is the machine itself.
func Open(root string) (*Driver, error) {
	if root == "" {
		root = "/"
	}
	dir, err := sysfs.Open(filepath.Join(root, cpuDir))
	if err != nil {
		return nil, notSupported(root, err)
	}
	d := &Driver{dir: dir, tree: treeName(root), seen: map[int]policy{}}
	nums, err := d.policies()
	if err == nil && len(nums) > 0 {
		return d, nil
	}
	dir.Close()
	return nil, notSupported(root, err)
}

// treeName marks what is not the machine: an old value from a recorded tree must never be written to real hardware.
func treeName(root string) string {
	if abs, err := filepath.Abs(root); err == nil {
		root = abs
	}
	if root == "/" {
		return ""
	}
	return "@" + root
}

func notSupported(root string, cause error) error {
	e := &mechanisms.Error{Code: "cpufreq.not-supported", Op: "open CPU frequency scaling below " + root, Why: "there is no policy in " + cpuDir + "/cpufreq",
		Hint: "virtual machines seldom have one; on real hardware load the kernel's driver, or use a recorded tree", Err: ErrNotSupported}
	if cause != nil && !errors.Is(cause, fs.ErrNotExist) {
		e.Err = errors.Join(ErrNotSupported, cause)
	}
	return e
}

// Close gives the tree's descriptor back.
func (d *Driver) Close() error { return d.dir.Close() }

// Describe implements [mechanisms.Driver].
func (d *Driver) Describe() mechanisms.Description {
	return mechanisms.Description{
		Name: Name, Aliases: []string{"CPUFrequencyConfigurator"}, Version: "1", Layer: "node",
		Summary:    "frequency window, governor, energy preference and turbo of the CPUs",
		Verbs:      []mechanisms.Verb{mechanisms.Set, mechanisms.Reset},
		Privileges: []string{"write access to " + cpuDir + "/cpufreq (root, or a udev rule that hands the files to a group)"},
		Pace:       mechanisms.Pace{Every: 100 * time.Millisecond, Burst: 20},
	}
}

// policies lists the numbers of the policies, ascending.
func (d *Driver) policies() ([]int, error) {
	names, err := d.dir.Names("cpufreq")
	if err != nil {
		return nil, err
	}
	var nums []int
	for _, name := range names {
		if n, ok := policyNumber(name); ok {
			nums = append(nums, n)
		}
	}
	slices.Sort(nums)
	return nums, nil
}

func policyNumber(name string) (int, bool) {
	digits, ok := strings.CutPrefix(name, "policy")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	return int(n), err == nil && strconv.Itoa(int(n)) == digits
}

// Knobs implements [mechanisms.Driver].
func (d *Driver) Knobs(context.Context) ([]mechanisms.Knob, error) {
	nums, err := d.policies()
	if err != nil {
		return nil, fmt.Errorf("list cpufreq policies: %w", err)
	}
	var knobs []mechanisms.Knob
	for _, n := range nums {
		knobs = append(knobs, d.policy(n).knobs()...)
	}
	if t, ok := d.turbo(); ok {
		knobs = append(knobs, t.knob(nums))
	}
	for i := range knobs {
		knobs[i].Driver += d.tree
	}
	return knobs, nil
}

// Read implements [mechanisms.Driver].
func (d *Driver) Read(_ context.Context, knob string) (mechanisms.Value, error) {
	a, err := d.attribute(knob)
	if err != nil {
		return mechanisms.Value{}, err
	}
	text, err := d.dir.Read(a.file)
	if err != nil {
		return mechanisms.Value{}, d.readError(knob, err)
	}
	if a.knob == setspeed && !d.userspace(a.policy) {
		return mechanisms.Choice(unset), nil
	}
	v, err := a.decode(text)
	if err != nil {
		return mechanisms.Value{}, fmt.Errorf("read %s: %w", knob, err)
	}
	return v, nil
}

// userspace reports whether setspeed means anything. The kernel's file says so itself; a recorded tree's keeps what was
// written, and could never be put back.
func (d *Driver) userspace(policy int) bool {
	now, err := d.dir.Read(policyFile(policy, files[governor]))
	return err != nil || now == "userspace"
}

// Write implements [mechanisms.Driver].
func (d *Driver) Write(ctx context.Context, knob string, v mechanisms.Value) error {
	a, err := d.attribute(knob)
	if err != nil {
		return err
	}
	text, err := a.encode(v)
	if err != nil || text == "" {
		return err
	}
	before, _ := d.dir.Read(a.file)
	if err := d.dir.Write(a.file, text); err != nil {
		return d.writeError(knob, a, v, err)
	}
	if (a.knob == maxFrequency || a.knob == minFrequency) && before != text {
		d.await(ctx, a.file, before)
	}
	return nil
}

// applied is how long the kernel may take to apply a limit. It notes the request at once, and a work queue applies it.
const applied = 100 * time.Millisecond

// await waits until a file shows something else than before. A limit that was clamped to where it was never does.
func (d *Driver) await(ctx context.Context, file, before string) {
	for deadline := time.Now().Add(applied); time.Now().Before(deadline) && ctx.Err() == nil; time.Sleep(time.Millisecond) {
		if now, err := d.dir.Read(file); err != nil || now != before {
			return
		}
	}
}

// readError tells a policy without online CPUs from a real failure. The kernel answers EBUSY for every attribute of
// such a policy, and takes the directory away when the CPUs are removed.
func (d *Driver) readError(knob string, err error) error {
	for _, away := range []error{syscall.EBUSY, syscall.ENODEV, syscall.ENXIO, fs.ErrNotExist} {
		if errors.Is(err, away) {
			return fmt.Errorf("%s: %w (%w)", knob, mechanisms.ErrUnavailable, err)
		}
	}
	return fmt.Errorf("read %s: %w", knob, err)
}

// writeError names the cause that the kernel's errno hides.
func (d *Driver) writeError(knob string, a attribute, v mechanisms.Value, err error) error {
	if a.policy >= 0 && !d.online(a.policy) {
		return d.readError(knob, err)
	}
	why, hint := a.why(d, v, err)
	if why == "" {
		return fmt.Errorf("write %s to %s: %w", v, knob, err)
	}
	return &mechanisms.Error{Code: mechanisms.CodeWrite, Op: fmt.Sprintf("write %s to %s", v, knob), Why: why, Hint: hint, Err: err}
}

// online tells whether a policy has a CPU that runs.
func (d *Driver) online(n int) bool {
	s, err := d.dir.Read(policyFile(n, "affected_cpus"))
	return err == nil && s != ""
}

func policyFile(n int, name string) string { return "cpufreq/policy" + strconv.Itoa(n) + "/" + name }
