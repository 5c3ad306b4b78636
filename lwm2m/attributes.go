package lwm2m

import (
	"math"
	"strconv"
	"strings"
)

// Attribute is a set of notification attributes, one bit each (Core 1.2 §7.4.4).
type Attribute uint16

// The notification attributes.
const (
	PMin  Attribute = 1 << iota // minimum period, seconds
	PMax                        // maximum period, seconds
	GT                          // notify when the value crosses this from below or above
	LT                          // the same, for the lower bound
	ST                          // notify when the value has moved by this since the last notification
	EPMin                       // minimum evaluation period, seconds (1.1)
	EPMax                       // maximum evaluation period, seconds (1.1)
	Edge                        // notify on a falling (false) or rising (true) edge of a boolean (1.2)
	Con                         // notify confirmably (1.2)
	HQMax                       // most notifications to keep while they cannot be sent (1.2)
)

var attributeNames = [...]string{"pmin", "pmax", "gt", "lt", "st", "epmin", "epmax", "edge", "con", "hqmax"}

// numericAttributes mean something for numbers only.
const numericAttributes = GT | LT | ST

// Attributes are the notification attributes of one path. Those in Has are set; the fields of the others are zero. Those
// in Unset are taken away by a Write-Attributes: only there it is not zero.
type Attributes struct {
	Has, Unset Attribute

	PMin, PMax   uint32 // seconds
	EPMin, EPMax uint32 // seconds
	HQMax        uint32
	GT, LT, ST   float64
	Edge, Con    bool
}

// ParseAttributes reads the query parameters of a Write-Attributes: "pmin=10" sets, "pmin" alone unsets. What is no
// notification attribute is refused, as Core 1.2 §6.3.4 asks (4.00).
func ParseAttributes(queries []string) (Attributes, error) {
	var a Attributes
	for _, q := range queries {
		name, value, assigned := strings.Cut(q, "=")
		if !a.set(name, value, assigned) {
			return Attributes{}, badAttribute("read the attribute "+quote(q), "it is not one of "+strings.Join(attributeNames[:], ", ")+" with a number that fits")
		}
	}
	return a, a.Validate()
}

// Attributes reads the notification attributes of a link, as a Discover gives them, and passes over every other one.
func (l Link) Attributes() Attributes {
	var a Attributes
	for name, value := range l.All() {
		a.set(name, value, true)
	}
	return a
}

func (a *Attributes) set(name, value string, assigned bool) bool {
	bit := attributeNamed(name)
	if bit == 0 {
		return false
	}
	if !assigned {
		a.Unset |= bit
		a.Has &^= bit
		return true
	}
	if !a.assign(bit, value) {
		return false
	}
	a.Has |= bit
	a.Unset &^= bit
	return true
}

func attributeNamed(name string) Attribute {
	for i, n := range attributeNames {
		if n == name {
			return 1 << i
		}
	}
	return 0
}

func (a *Attributes) assign(bit Attribute, value string) bool {
	switch bit {
	case PMin, PMax, EPMin, EPMax, HQMax:
		n, err := strconv.ParseUint(value, 10, 32)
		*a.count(bit) = uint32(n)
		return err == nil
	case GT, LT, ST:
		f, err := strconv.ParseFloat(value, 64)
		*a.number(bit) = f
		return err == nil && !math.IsNaN(f) && !math.IsInf(f, 0)
	default:
		*a.flag(bit) = value == "1"
		return value == "0" || value == "1"
	}
}

func (a *Attributes) count(bit Attribute) *uint32 {
	switch bit {
	case PMin:
		return &a.PMin
	case PMax:
		return &a.PMax
	case EPMin:
		return &a.EPMin
	case EPMax:
		return &a.EPMax
	default:
		return &a.HQMax
	}
}

func (a *Attributes) number(bit Attribute) *float64 {
	switch bit {
	case GT:
		return &a.GT
	case LT:
		return &a.LT
	default:
		return &a.ST
	}
}

func (a *Attributes) flag(bit Attribute) *bool {
	if bit == Edge {
		return &a.Edge
	}
	return &a.Con
}

// Validate checks what Core 1.2 §7.4.4 asks of a set: lt + 2·st < gt, a step above zero, an evaluation period whose
// minimum is below its maximum. A pmax below pmin is no mistake: it is ignored, see MaxPeriod.
func (a Attributes) Validate() error {
	switch {
	case a.Has&ST != 0 && a.ST <= 0:
		return badAttribute("set st", "a step has to be above zero")
	case a.Has&(GT|LT) == GT|LT && a.LT+2*a.ST >= a.GT:
		return badAttribute("set lt, gt and st", "lt + 2*st has to be below gt")
	case a.Has&(EPMin|EPMax) == EPMin|EPMax && a.EPMin > 0 && a.EPMax <= a.EPMin:
		return badAttribute("set epmin and epmax", "epmin has to be below epmax")
	}
	return nil
}

// ValidFor reports whether the attributes mean something for a value of a kind: thresholds need a number, an edge needs
// a boolean.
func (a Attributes) ValidFor(kind Kind) bool {
	set := a.Has | a.Unset
	return (set&numericAttributes == 0 || kind.Numeric()) && (set&Edge == 0 || kind == KindBoolean)
}

// MaxPeriod returns pmax in seconds, 0 for none: not set, zero, or below pmin and so to be ignored (Core 1.2 §7.4.4).
func (a Attributes) MaxPeriod() uint32 {
	if a.Has&PMax == 0 || a.Has&PMin != 0 && a.PMax < a.PMin {
		return 0
	}
	return a.PMax
}

// Apply returns a with a Write-Attributes done to it: what the change sets is set, what it unsets is gone.
func (a Attributes) Apply(change Attributes) Attributes {
	a = a.only(a.Has &^ change.Unset)
	result := change.only(change.Has)
	return result.Inherit(a)
}

// Inherit returns a with whatever it does not set taken from the level above: a resource instance from its resource,
// that from its instance, that from its object (Core 1.2 §7.4.4).
func (a Attributes) Inherit(above Attributes) Attributes {
	missing := above.Has &^ a.Has
	for bit := Attribute(1); bit <= missing; bit <<= 1 {
		if missing&bit != 0 {
			a.copy(above, bit)
		}
	}
	a.Has |= missing
	return a
}

// only returns the attributes of a set, with nothing unset.
func (a Attributes) only(set Attribute) Attributes {
	return Attributes{}.Inherit(a.masked(set))
}

func (a Attributes) masked(set Attribute) Attributes {
	a.Has &= set
	return a
}

func (a *Attributes) copy(from Attributes, bit Attribute) {
	switch bit {
	case GT, LT, ST:
		*a.number(bit) = *from.number(bit)
	case Edge, Con:
		*a.flag(bit) = *from.flag(bit)
	default:
		*a.count(bit) = *from.count(bit)
	}
}

// Queries appends the parameters of a Write-Attributes that sets and unsets the same.
func (a Attributes) Queries(dst []string) []string {
	for i, name := range attributeNames {
		switch bit := Attribute(1) << i; {
		case a.Has&bit != 0:
			dst = append(dst, name+"="+string(a.appendValue(nil, bit)))
		case a.Unset&bit != 0:
			dst = append(dst, name)
		}
	}
	return dst
}

// AppendParams appends those that are set as attributes of a link: ";pmin=1;pmax=60".
func (a Attributes) AppendParams(dst []byte) []byte {
	for i, name := range attributeNames {
		if bit := Attribute(1) << i; a.Has&bit != 0 {
			dst = append(append(append(dst, ';'), name...), '=')
			dst = a.appendValue(dst, bit)
		}
	}
	return dst
}

func (a *Attributes) appendValue(dst []byte, bit Attribute) []byte {
	switch bit {
	case GT, LT, ST:
		return strconv.AppendFloat(dst, *a.number(bit), 'f', -1, 64)
	case Edge, Con:
		if *a.flag(bit) {
			return append(dst, '1')
		}
		return append(dst, '0')
	default:
		return strconv.AppendUint(dst, uint64(*a.count(bit)), 10)
	}
}

// String lists what is set and unset: "pmin=1&pmax=60&gt".
func (a Attributes) String() string { return strings.Join(a.Queries(nil), "&") }

func badAttribute(what, why string) error {
	return &Error{
		Code: CodeAttribute, What: what, Why: why,
		Hint: "periods and hqmax are whole numbers, gt, lt and st decimal numbers, edge and con 0 or 1",
	}
}
