package machine

import (
	"bytes"
	"fmt"
	"io/fs"
	"strconv"
)

// Memory is the machine's, as /proc/meminfo has it.
type Memory struct {
	TotalKiB, FreeKiB int64 // free is what could be had without swapping (MemAvailable)
}

// memory reads proc/meminfo below the root.
func memory(root fs.FS) (Memory, error) {
	text, err := fs.ReadFile(root, "proc/meminfo")
	if err != nil {
		return Memory{}, fmt.Errorf("read memory: %w", err)
	}
	return parseMeminfo(text)
}

func parseMeminfo(text []byte) (Memory, error) {
	var m Memory
	for line := range bytes.Lines(text) {
		name, rest, _ := bytes.Cut(line, []byte(":"))
		switch string(name) {
		case "MemTotal":
			m.TotalKiB = firstNumber(rest)
		case "MemAvailable":
			m.FreeKiB = firstNumber(rest)
		}
	}
	if m.TotalKiB <= 0 {
		return Memory{}, fmt.Errorf("read memory: /proc/meminfo has no MemTotal")
	}
	return m, nil
}

// firstNumber is the leading decimal number of a text with blanks before it; 0 if there is none.
func firstNumber(text []byte) int64 {
	fields := bytes.Fields(text)
	if len(fields) == 0 {
		return 0
	}
	n, _ := strconv.ParseInt(string(bytes.TrimRight(fields[0], ".")), 10, 64)
	return n
}
