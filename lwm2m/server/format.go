package server

import (
	"strconv"
	"strings"

	"github.com/edgehold/edgehold/lwm2m"
)

// formatSet is a set of content formats, one bit for each of formats.
type formatSet uint8

// formats are those that trees travel in, the best first.
var formats = [...]lwm2m.Format{lwm2m.FormatCBORTree, lwm2m.FormatSenMLCBOR, lwm2m.FormatSenMLJSON, lwm2m.FormatTLV, lwm2m.FormatJSON, lwm2m.FormatText}

const (
	withCBORTree formatSet = 1 << iota
	withSenMLCBOR
	withSenMLJSON
	withTLV
	withJSON
	withText
)

// Kept beside the formats that a device refuses.
const (
	withOpaque  formatSet = 1 << 6 // it takes no single value as bare bytes
	noComposite formatSet = 1 << 7 // it answers no composite operation
)

func formatBit(f lwm2m.Format) formatSet {
	for i, known := range formats {
		if known == f.Canonical() {
			return 1 << i
		}
	}
	return 0
}

// formatsNamed reads the ct attribute of a device's root: numbers parted by blanks.
func formatsNamed(ct string) (set formatSet) {
	for word := range strings.FieldsSeq(ct) {
		if n, err := strconv.ParseUint(word, 10, 16); err == nil {
			set |= formatBit(lwm2m.Format(n))
		}
	}
	return set
}

// ofVersion are the formats that a version of LwM2M may have (Core 1.0 §6.4, 1.1 §7.4, 1.2 §7.5).
func ofVersion(v lwm2m.Version) formatSet {
	switch {
	case v.Compare(lwm2m.V1_2) >= 0:
		return withCBORTree | withSenMLCBOR | withSenMLJSON | withTLV | withText
	case v.Compare(lwm2m.V1_1) >= 0:
		return withSenMLCBOR | withSenMLJSON | withTLV | withText
	default:
		return withTLV | withJSON | withText
	}
}

// choose returns the best format for a device: one that it says it has, if it says so, and that it did not refuse. ok is
// false when none is left.
func choose(version lwm2m.Version, told, refused, usable formatSet) (f lwm2m.Format, ok bool) {
	possible := ofVersion(version) & usable &^ refused
	if said := possible & told; said != 0 {
		possible = said
	}
	for i, f := range formats {
		if possible&(1<<i) != 0 {
			return f, true
		}
	}
	return 0, false
}
