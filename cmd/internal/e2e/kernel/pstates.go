//go:build linux

package kernel

import (
	"os"
	"path/filepath"
)

// Transition is one performance state that the kernel has told an [X86] machine's processor to enter.
type Transition struct {
	CPU int
	KHz int
}

// stateKHz are the frequencies of the states that testdata/pstates.asl describes, by the low half of the control value.
var stateKHz = [...]int{1200000, 1800000, 2400000, 3000000}

// Transitions reads what the kernel has written to the processors' control registers so far, from a file of the host that
// only the emulated hardware writes to.
func (m *Machine) Transitions() ([]Transition, error) {
	b, err := os.ReadFile(filepath.Join(m.dir, pstates))
	if err != nil {
		return nil, err
	}
	var ts []Transition
	for _, c := range b {
		if state := int(c & 0x0F); (c>>4 == 3 || c>>4 == 4) && state < len(stateKHz) {
			ts = append(ts, Transition{CPU: int(c>>4) - 3, KHz: stateKHz[state]})
		}
	}
	return ts, nil
}
