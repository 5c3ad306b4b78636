//go:build linux

package kernel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// pstates is the file in an [X86] machine's folder that holds a byte for every performance state the kernel has chosen.
const pstates = "pstates"

// X86 is a machine of two processors whose performance states the ACPI table in the source file table describes. The driver
// acpi-cpufreq takes it for a Pentium M with them in hardware.
func X86(ctx context.Context, dir, table string) (Board, error) {
	if err := run(ctx, dir, nil, "iasl", "-p", filepath.Join(dir, "table"), table); err != nil {
		return Board{}, err
	}
	return Board{
		Program: "qemu-system-x86_64",
		Console: "ttyS0",
		Kernel:  "no_timer_check",
		Args: []string{
			"-accel", "tcg,thread=multi", "-machine", "q35", "-smp", "2",
			"-cpu", "max,la57=off,vendor=GenuineIntel,family=6,model=13",
			"-acpitable", "file=table.aml",
			"-chardev", "file,id=pstates,path=" + pstates, "-device", "isa-debugcon,iobase=0x502,chardev=pstates",
		},
	}, nil
}

// WithDisk adds a disk, a file that [MakeDisk] made, which the guest mounts at /disk. The kernel needs the module virtio_blk, and
// ext4, which the one for [X86] has built in.
func (b Board) WithDisk(file string) Board {
	b.Args = append(slices.Clone(b.Args), "-drive", "file="+file+",format=raw,if=none,id=disk,cache=writeback", "-device", "virtio-blk-pci,drive=disk")
	return b
}

// MakeDisk makes a file with an empty file system.
func MakeDisk(ctx context.Context, file string, bytes int64) error {
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		return err
	}
	if err := os.Truncate(file, bytes); err != nil {
		return err
	}
	return run(ctx, filepath.Dir(file), nil, "/sbin/mkfs.ext4", "-q", "-F", file)
}

// ARM is a machine of two Cortex-A53 processors with the operating points that the device tree source file points adds.
func ARM(ctx context.Context, dir, points string) (Board, error) {
	const program = "qemu-system-aarch64"
	args := []string{"-accel", "tcg,thread=multi", "-cpu", "cortex-a53", "-smp", "2"}
	dump := append([]string{"-machine", "virt,dumpdtb=board.dtb", "-nodefaults", "-display", "none", "-m", memory}, args...)
	if err := run(ctx, dir, nil, program, dump...); err != nil {
		return Board{}, err
	}
	if err := run(ctx, dir, nil, "dtc", "-q", "-I", "dtb", "-O", "dts", "-o", "board.dts", "board.dtb"); err != nil {
		return Board{}, err
	}
	if err := compileTree(ctx, dir, "board.dts", points); err != nil {
		return Board{}, err
	}
	return Board{
		Program: program,
		Console: "ttyAMA0",
		Args:    append([]string{"-machine", "virt", "-dtb", "machine.dtb"}, args...),
	}, nil
}

// compileTree compiles the board's tree with the operating points after it; the compiler merges nodes of the same name.
func compileTree(ctx context.Context, dir, board, points string) error {
	tree, err := os.Open(filepath.Join(dir, board))
	if err != nil {
		return err
	}
	defer tree.Close()
	more, err := os.Open(points)
	if err != nil {
		return err
	}
	defer more.Close()
	return run(ctx, dir, io.MultiReader(tree, more), "dtc", "-q", "-I", "dts", "-O", "dtb", "-o", "machine.dtb", "-")
}

// run runs a tool in dir. A tool that is not there is [Missing].
func run(ctx context.Context, dir string, input io.Reader, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Stdin, cmd.WaitDelay = dir, input, helpersDelay
	out, err := cmd.CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return &Missing{program, err}
	}
	if err != nil {
		return fmt.Errorf("run %s: %w: %s", program, err, out)
	}
	return nil
}
