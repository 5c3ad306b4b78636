package lwm2m

import "strconv"

// Format is a CoAP content format (Core 1.2 §7.5, IANA "CoAP Content-Formats").
type Format uint16

// The content formats of LwM2M.
const (
	FormatText         Format = 0
	FormatLinks        Format = 40
	FormatOpaque       Format = 42
	FormatCBOR         Format = 60
	FormatSenMLJSON    Format = 110
	FormatSenMLCBOR    Format = 112
	FormatSenMLEtcJSON Format = 320 // FETCH and iPATCH: RFC 8790
	FormatSenMLEtcCBOR Format = 322
	FormatTLV          Format = 11542
	FormatJSON         Format = 11543 // of 1.0
	FormatCBORTree     Format = 11544 // "LwM2M CBOR" of 1.2

	// Numbers of the drafts of 1.0, which old devices still send.
	FormatDraftText   Format = 1541
	FormatDraftTLV    Format = 1542
	FormatDraftJSON   Format = 1543
	FormatDraftOpaque Format = 1544

	// NoFormat stands for a message that names none. IANA reserves the number.
	NoFormat Format = 65535
)

// Canonical returns the registered number in place of one of the drafts' and of the two that RFC 8790 added.
func (f Format) Canonical() Format {
	switch f {
	case FormatDraftText:
		return FormatText
	case FormatDraftTLV:
		return FormatTLV
	case FormatDraftJSON:
		return FormatJSON
	case FormatDraftOpaque:
		return FormatOpaque
	case FormatSenMLEtcJSON:
		return FormatSenMLJSON
	case FormatSenMLEtcCBOR:
		return FormatSenMLCBOR
	default:
		return f
	}
}

// Single reports whether the format carries one value and no path.
func (f Format) Single() bool {
	switch f.Canonical() {
	case FormatText, FormatOpaque, FormatCBOR:
		return true
	default:
		return false
	}
}

// String returns the format's name and number: "SenML CBOR (112)".
func (f Format) String() string {
	number := strconv.Itoa(int(f))
	if name := formatNames[f.Canonical()]; name != "" {
		return name + " (" + number + ")"
	}
	return "format " + number
}

var formatNames = map[Format]string{
	FormatText: "plain text", FormatLinks: "link format", FormatOpaque: "opaque", FormatCBOR: "CBOR", FormatSenMLJSON: "SenML JSON",
	FormatSenMLCBOR: "SenML CBOR", FormatTLV: "TLV", FormatJSON: "LwM2M JSON", FormatCBORTree: "LwM2M CBOR", NoFormat: "no format",
}
