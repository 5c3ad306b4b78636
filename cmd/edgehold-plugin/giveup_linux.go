package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Bounds of this process, once the plugin is compiled.
const (
	spare   = 512 << 20 // of address space, besides what the plugin may have
	copies  = 2         // of a memory that grows: the old and the new
	files   = 64
	maxFile = 64 << 20 // bytes of one that is written
)

// giveUp gives up what running the plugin does not need: other programs' privileges, core files, many descriptors, memory.
func giveUp(memory uint64) error {
	if err := noNewPrivileges(); err != nil {
		return fmt.Errorf("give privileges up: %w", err)
	}
	mapped, err := addressSpace()
	if err != nil {
		return err
	}
	for resource, most := range map[int]uint64{
		unix.RLIMIT_CORE: 0, unix.RLIMIT_NOFILE: files, unix.RLIMIT_FSIZE: maxFile, unix.RLIMIT_AS: mapped + copies*memory + spare,
	} {
		var now unix.Rlimit
		if err := unix.Getrlimit(resource, &now); err != nil {
			return fmt.Errorf("read limit of resource %d: %w", resource, err)
		}
		most = min(most, now.Max)
		if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: most, Max: most}); err != nil {
			return fmt.Errorf("limit resource %d to %d: %w", resource, most, err)
		}
	}
	return nil
}

// addressSpace reads /proc/self/statm: the first number is pages.
func addressSpace() (uint64, error) {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, fmt.Errorf("see how much is mapped: %w", err)
	}
	first, _, _ := bytes.Cut(b, []byte(" "))
	pages, err := strconv.ParseUint(string(first), 10, 64)
	return pages * uint64(os.Getpagesize()), err
}

// noNewPrivileges holds for a thread, so it is set on each; a program that links C can do that for the one thread only.
func noNewPrivileges() error {
	_, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0)
	if errno == syscall.ENOTSUP {
		return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	}
	if errno != 0 {
		return errno
	}
	return nil
}
