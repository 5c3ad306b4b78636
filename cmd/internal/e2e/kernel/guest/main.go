//go:build linux

// Command guest is the first program of a booted test machine: it mounts what Linux programs expect, loads the kernel
// modules that lie in /modules, and answers calls on the virtio serial port. It is not an init system: it knows no
// services, and the test that booted it decides what runs.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	if len(os.Args) > 1 {
		role(os.Args[1], os.Args[2:])
		return
	}
	// Process 1 inherits the orphans, and collecting them would steal the exits that os/exec waits for. So it does
	// nothing else, and a second process of the same program does the work.
	if err := errors.Join(mount(), start("serve")); err != nil {
		fmt.Println("guest:", err)
	}
	collect()
}

func role(name string, args []string) {
	var err error
	switch name {
	case "serve":
		err = serve()
	case "burn":
		err = burn(args)
	default:
		err = fmt.Errorf("no role %q", name)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "guest:", err)
		os.Exit(1)
	}
}

func start(role string) error {
	cmd := exec.Command("/init", role)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Start()
}

// collect reaps every child for ever.
func collect() {
	for {
		if _, err := unix.Wait4(-1, nil, 0, nil); err == unix.ECHILD {
			fmt.Println("guest: nothing runs any more")
			unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF) //nolint:errcheck // there is no one to tell
		}
	}
}

// burn keeps one processor busy for the duration it is given.
func burn(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("burn wants one duration")
	}
	d, err := time.ParseDuration(args[0])
	if err != nil {
		return err
	}
	for end := time.Now().Add(d); time.Now().Before(end); {
	}
	return nil
}
