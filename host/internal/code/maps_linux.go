package code

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
	"unsafe"
)

// span is a range of addresses.
type span struct{ start, end uintptr }

func (s span) size() uintptr { return s.end - s.start }

func (s span) pointer() unsafe.Pointer {
	// The address comes from the kernel and is outside of Go's heap, so the collector has no opinion on it.
	return *(*unsafe.Pointer)(unsafe.Pointer(&s.start))
}

func (s span) bytes() []byte { return unsafe.Slice((*byte)(s.pointer()), s.size()) }

// executable lists the anonymous memory of this process that can be executed, in order of address.
func executable() ([]span, error) {
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return parseMaps(f)
}

// parseMaps reads /proc/PID/maps: address, permissions, offset, device, inode and, if there is one, a name.
func parseMaps(r io.Reader) (list []span, err error) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) != 5 || fields[1] != "r-xp" || fields[4] != "0" {
			continue
		}
		var s span
		if _, err := fmt.Sscanf(fields[0], "%x-%x", &s.start, &s.end); err != nil {
			return nil, fmt.Errorf("read the process's maps: %w", err)
		}
		list = append(list, s)
	}
	return list, lines.Err()
}

// subtract returns what of after is not in before. The kernel joins neighbours, so a span of after may contain several of
// before.
func subtract(after, before []span) (list []span) {
	for _, s := range after {
		for _, old := range before {
			if old.end <= s.start || old.start >= s.end {
				continue
			}
			if s.start < old.start {
				list = append(list, span{s.start, old.start})
			}
			s.start = min(old.end, s.end)
		}
		if s.start < s.end {
			list = append(list, s)
		}
	}
	return list
}
