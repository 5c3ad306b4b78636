package sdf

// Model is a document as Go types. What no field is for stands in Extra, so that nothing is lost on the way back.
type Model struct {
	Info             Info              `sdf:"info"`
	Namespace        map[string]string `sdf:"namespace"`
	DefaultNamespace string            `sdf:"defaultNamespace"`
	Groups
	Extra map[string]any `sdf:"*"`
}

// Info is the information block.
type Info struct {
	Title       string         `sdf:"title"`
	Description string         `sdf:"description"`
	Version     string         `sdf:"version"`
	Modified    string         `sdf:"modified"`
	Copyright   string         `sdf:"copyright"`
	License     string         `sdf:"license"`
	Features    []string       `sdf:"features"`
	Comment     string         `sdf:"$comment"`
	Extra       map[string]any `sdf:"*"`
}

// Groups are the definitions of a document or a thing.
type Groups struct {
	Things  map[string]*Thing  `sdf:"sdfThing"`
	Objects map[string]*Object `sdf:"sdfObject"`
	Affordances
}

// Affordances are what one can do with a thing or an object, and the types that they use.
type Affordances struct {
	Properties map[string]*Property `sdf:"sdfProperty"`
	Actions    map[string]*Action   `sdf:"sdfAction"`
	Events     map[string]*Event    `sdf:"sdfEvent"`
	Data       map[string]*Data     `sdf:"sdfData"`
}

// Common are the qualities that every definition may have.
type Common struct {
	Label       string `sdf:"label"`
	Description string `sdf:"description"`
	Comment     string `sdf:"$comment"`
	// Ref is empty in a resolved document.
	Ref string `sdf:"sdfRef"`
	// Required holds pointers, names of siblings, or true.
	Required []any `sdf:"sdfRequired"`
	// Extra holds the qualities of extensions.
	Extra map[string]any `sdf:"*"`
}

// Thing is a composition of objects and things.
type Thing struct {
	Common
	Groups
	Multiplicity
}

// Object is a set of affordances that belong together.
type Object struct {
	Common
	Affordances
	Multiplicity
}

// Multiplicity makes an array of a thing or an object. Without either bound there is one.
type Multiplicity struct {
	MinItems *uint64 `sdf:"minItems"`
	MaxItems *uint64 `sdf:"maxItems"`
}

// IsArray reports whether there may be several.
func (m Multiplicity) IsArray() bool { return m.MinItems != nil || m.MaxItems != nil }

// Property is an element of state. What is not said of it is true.
type Property struct {
	Data
	Observable *bool `sdf:"observable"`
	Readable   *bool `sdf:"readable"`
	Writable   *bool `sdf:"writable"`
}

// IsObservable reports whether changes are notified.
func (p *Property) IsObservable() bool { return isNotFalse(p.Observable) }

// IsReadable reports whether reading is allowed.
func (p *Property) IsReadable() bool { return isNotFalse(p.Readable) }

// IsWritable reports whether writing is allowed.
func (p *Property) IsWritable() bool { return isNotFalse(p.Writable) }

func isNotFalse(b *bool) bool { return b == nil || *b }

// Action is a command.
type Action struct {
	Common
	Input  *Data            `sdf:"sdfInputData"`
	Output *Data            `sdf:"sdfOutputData"`
	Data   map[string]*Data `sdf:"sdfData"`
}

// Event is an occurrence that a thing tells of by itself.
type Event struct {
	Common
	Output *Data            `sdf:"sdfOutputData"`
	Data   map[string]*Data `sdf:"sdfData"`
}

// Types of [Data].
const (
	TypeNumber  = "number"
	TypeInteger = "integer"
	TypeString  = "string"
	TypeBoolean = "boolean"
	TypeArray   = "array"
	TypeObject  = "object"
)

// Values of sdfType that RFC 9880 registers.
const (
	ByteString = "byte-string" // base64url without padding in JSON, native in CBOR
	UnixTime   = "unix-time"   // seconds since 1970
)

// Data are data qualities: what a value may be. Bounds are int64, uint64 or float64; nil means none.
type Data struct {
	Common
	Type          string           `sdf:"type"`
	SDFType       string           `sdf:"sdfType"`
	Unit          string           `sdf:"unit"`
	Nullable      *bool            `sdf:"nullable"`
	ContentFormat string           `sdf:"contentFormat"`
	Choice        map[string]*Data `sdf:"sdfChoice"`
	Enum          []string         `sdf:"enum"`
	// Const and Default: nil means that there is none, which null can't be told apart from.
	Const   any `sdf:"const"`
	Default any `sdf:"default"`

	Minimum          any `sdf:"minimum"`
	Maximum          any `sdf:"maximum"`
	ExclusiveMinimum any `sdf:"exclusiveMinimum"`
	ExclusiveMaximum any `sdf:"exclusiveMaximum"`
	MultipleOf       any `sdf:"multipleOf"`

	MinLength *uint64 `sdf:"minLength"` // Unicode scalar values; bytes of a byte string
	MaxLength *uint64 `sdf:"maxLength"`
	Pattern   string  `sdf:"pattern"`
	Format    string  `sdf:"format"`

	MinItems    *uint64          `sdf:"minItems"`
	MaxItems    *uint64          `sdf:"maxItems"`
	UniqueItems *bool            `sdf:"uniqueItems"`
	Items       *Data            `sdf:"items"`
	Properties  map[string]*Data `sdf:"properties"`
	// RequiredNames are the members that an object must have.
	RequiredNames []string `sdf:"required"`
}

// LabelOr returns the label, or the name that stands for it.
func (c *Common) LabelOr(name string) string {
	if c.Label != "" {
		return c.Label
	}
	return name
}
