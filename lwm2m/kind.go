package lwm2m

// Kind is the data type of a resource (Core 1.2 appendix C).
type Kind uint8

// The data types. KindNone is the type of an executable, of an empty instance, and of a value that was not told.
const (
	KindNone Kind = iota
	KindString
	KindInteger
	KindUnsigned // 1.1
	KindFloat
	KindBoolean
	KindOpaque
	KindTime
	KindObjectLink
	KindCoreLink // 1.1
)

var kindNames = [...]string{"none", "string", "integer", "unsigned", "float", "boolean", "opaque", "time", "object link", "core link"}

// String returns the type's name in words.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unknown"
}

// Numeric reports whether gt, lt and st mean something for the type (Core 1.2 §7.4.4).
func (k Kind) Numeric() bool {
	return k == KindInteger || k == KindUnsigned || k == KindFloat || k == KindTime
}
