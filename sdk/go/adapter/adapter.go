package adapter

// Adapter knows how a device's knobs are read and written. Its methods are called one at a time.
type Adapter interface {
	// Initialize finds the granted capabilities and the parameters by name. A name that is not there is reported by the
	// Setup itself. It makes no requests.
	Initialize(*Setup) error
	// Knobs lists what there is now, in the order in which several may be written.
	Knobs() ([]Knob, error)
	// Read returns what a knob is at, from the device and not from memory.
	Read(knob string) (Value, error)
	// Write makes one attempt. It takes whatever Read has returned. It need not clamp: what comes is one of the knob's
	// positions, or an old value.
	Write(knob string, v Value) error
}

// Reverter is an adapter whose way back to an old value is another than Write: a device that is given back to its own
// regulation. The knob has to read as v afterwards.
type Reverter interface {
	Revert(knob string, v Value) error
}

// Foreteller is an adapter that knows what would become of a value, without writing.
type Foreteller interface {
	Foretell(knob string, v Value) (Value, error)
}

// Reporter is an adapter that has facts about the device worth showing to people. It is asked when all knobs are
// read. A failure is not worth failing for: leave the fact out.
type Reporter interface {
	Facts() []Fact
}

// Fact is one thing about the device: "firmware", "1.14".
type Fact struct{ Name, Value string }

var registered = NewInstance(nil)

// Register names the adapter of this module. Call it once, in an init function.
func Register(a Adapter) { registered.adapter = a }
