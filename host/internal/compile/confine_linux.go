package compile

import (
	"fmt"
	"os/exec"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// niceness of the child: it must not delay the loop of the daemon that started it.
const niceness = 10

// confine bounds this process before it looks at anything untrusted.
func confine(b Bounds) error {
	if err := unix.Setpriority(unix.PRIO_PROCESS, 0, niceness); err != nil {
		return fmt.Errorf("lower the priority: %w", err)
	}
	seconds := uint64((b.CPU + time.Second - 1) / time.Second)
	limits := map[int]unix.Rlimit{
		unix.RLIMIT_CPU:  {Cur: seconds, Max: seconds + 1},
		unix.RLIMIT_CORE: {},
	}
	if boundsAddressSpace {
		limits[unix.RLIMIT_DATA] = unix.Rlimit{Cur: b.Memory + dataOverhead, Max: b.Memory + dataOverhead}
	}
	for resource, limit := range limits {
		if err := unix.Setrlimit(resource, &limit); err != nil {
			return fmt.Errorf("limit resource %d to %d: %w", resource, limit.Cur, err)
		}
	}
	return nil
}

// dataOverhead is what Go's runtime maps writable and never touches: arenas come in pieces of 64 MiB.
const dataOverhead = 192 << 20

// runWithParent runs the command; the kernel kills it if this process dies. The signal is tied to the thread that starts
// the child, hence the lock.
func runWithParent(cmd *exec.Cmd) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	return cmd.Run()
}
