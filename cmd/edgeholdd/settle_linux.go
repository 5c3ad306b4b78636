package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// settle gives up what starting or preparing a policy has left in memory: garbage of the heap, and pages of files, such as
// this program itself and the machine code of policies, that were needed once. Pages in use come back from the page cache
// when they are touched next.
func settle() {
	settleHeap()
	smaps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer smaps.Close()
	var m mapping
	for lines := bufio.NewScanner(smaps); lines.Scan(); {
		if next, ok := parseMapping(lines.Text()); ok {
			m = next
			continue
		}
		if kB, ok := strings.CutPrefix(lines.Text(), "Anonymous:"); ok && m.clean && strings.TrimSpace(kB) == "0 kB" {
			m.drop()
		}
	}
}

// mapping is a line of /proc/self/smaps that begins one.
type mapping struct {
	start, end uintptr
	clean      bool // of a file, private, and not writable
}

// parseMapping reads "00400000-01049000 r-xp 00000000 fe:00 1234 /usr/bin/edgeholdd".
func parseMapping(line string) (m mapping, ok bool) {
	var protection, offset, device string
	var inode uint64
	n, _ := fmt.Sscanf(line, "%x-%x %s %s %s %d", &m.start, &m.end, &protection, &offset, &device, &inode)
	if n < 6 {
		return m, false
	}
	m.clean = inode != 0 && (protection == "r-xp" || protection == "r--p")
	return m, true
}

// drop unmaps the pages but not the mapping. Nothing is lost: none of them differs from the file, or smaps would count it as
// anonymous.
func (m mapping) drop() {
	_, _, _ = syscall.Syscall(unix.SYS_MADVISE, m.start, m.end-m.start, unix.MADV_DONTNEED)
}
