package oma

import (
	"strconv"
	"strings"
	"unicode"
)

// Namespace is the target namespace of the definitions, the one of the public IPSO models.
const (
	Namespace = "https://onedm.org/ecosystem/oma"
	prefix    = "oma"
)

// Qualities of ours. What is not set is left out.
const (
	qualityID           = "oma:id"           // integer, of an object or a resource
	qualityURN          = "oma:urn"          // text
	qualityVersion      = "oma:version"      // text; of the object, if its file tells one
	qualityLwM2M        = "oma:lwm2m"        // text; version of the enabler, if the file tells one
	qualityMandatory    = "oma:mandatory"    // true; where sdfRequired has no place
	qualityDescription2 = "oma:description2" // text after the resources
	qualityType         = "oma:type"         // text; where the types of SDF don't say it: see kinds
	qualityRange        = "oma:range"        // text, as the file has it
	qualityBytes        = "oma:bytes"        // true; the length in the range counts bytes
	qualityUnit         = "oma:unit"         // text; a unit that SenML does not have
	qualityOperations   = "oma:operations"   // text; of a resource that is an action and more
	qualityEndpoint     = "oma:endpoint"     // text, of a thing
	qualityInstances    = "oma:instances"    // numbers of the instances that a device has of an object
	qualityProtocolMap  = "sdfProtocolMap"
	protocolLwM2M       = "lwm2m"
)

// Name makes a name for SDF: white space, commas and slashes become underscores, as in the public models and in D3.3's topics
// ("LWM2M_Software_Management"). What a name reference can't hold becomes one too.
func Name(text string) string {
	var name strings.Builder
	underscore := false
	for _, r := range strings.TrimSpace(text) {
		if unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune(",/:#", r) {
			if !underscore {
				name.WriteByte('_')
			}
			underscore = true
			continue
		}
		name.WriteRune(r)
		underscore = false
	}
	return name.String()
}

// names gives each of some things a name of its own: the first to ask has it, others get their number after it.
type names map[string]uint16

// take returns the name of the thing with a number. To ask again gives the same.
func (n names) take(text string, id uint16) string {
	name := Name(text)
	if name == "" || isNumber(name) {
		name = "_" + name // a number is an id, never a name
	}
	for {
		owner, taken := n[name]
		if !taken || owner == id {
			n[name] = id
			return name
		}
		name += "_" + strconv.Itoa(int(id))
	}
}

// isNumber reports whether a name is a number, which stands for an id.
func isNumber(name string) bool {
	_, err := strconv.ParseUint(name, 10, 16)
	return err == nil
}

// escapeThing makes the name of a thing of an endpoint name: percent-encoded where a name reference has other uses for a character.
func escapeThing(endpoint string) string {
	var name strings.Builder
	for _, c := range []byte(endpoint) {
		if c < 0x20 || c == 0x7f || strings.IndexByte(":#%/", c) >= 0 {
			const digits = "0123456789ABCDEF"
			name.Write([]byte{'%', digits[c>>4], digits[c&15]})
			continue
		}
		name.WriteByte(c)
	}
	return name.String()
}
