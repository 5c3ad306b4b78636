package helper

import (
	"math"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// withParent has the kernel end the command when the thread that starts it ends: with this process, then, for Go keeps its
// threads. Where a thread ends before, the helper is started again.
//
// The command gets none of the descriptors that whoever started this process left open in it; those that Go opens are never
// handed on. A kernel before 5.11 can't tell, and hands on what was left open.
func withParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	_ = unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
}
