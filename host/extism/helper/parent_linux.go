package helper

import (
	"os/exec"
	"syscall"
)

// withParent has the kernel end the command when the thread that starts it ends: with this process, then, for Go keeps its
// threads. Where a thread ends before, the helper is started again.
func withParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
