package wasmabi

// What a workload is: code on a device that turns inputs into outputs. Its messages are the smallest of this package, since a
// runtime of 256 KB has to speak them too: ports, properties and knobs go by their place in the manifest, and a batch of values is
// two columns.
//
//   - [OpStart]: request [Start], response [Emission]
//   - [OpInput]: request [Input], response Emission
//   - [OpTick]: request Input without values, response Emission
//   - [OpStop]: request empty, response Emission
//
// Unlike a policy's, a workload's instance lives from start to stop, and keeps its memory.

// Types of ports and properties.
const (
	TypeNumber = "number" // a float64
	TypeBytes  = "bytes"  // of a property: its text or opaque value
)

// Workload says what a workload takes, gives and asks of its device. Everything it names goes by its index from then on.
type Workload struct {
	Inputs     []Port
	Outputs    []Port
	Properties []PropertyRequest
	Knobs      []KnobRequest
	TickMS     uint32 // from one OpTick to the next, unless an Emission says otherwise; 0 is never
}

// Port is an input or an output.
type Port struct {
	Name string // its key: "temp_avg"
	Unit string // of a number, as SenML has it: "Cel"
	Type string // TypeNumber or TypeBytes; empty is TypeNumber
}

// PropertyRequest asks to read one of the device's resources.
type PropertyRequest struct {
	Name   string // by which the guest finds it: "temperature"
	Path   string // of the LwM2M resource: "/3303/0/5700"
	Unit   string
	Type   string // TypeNumber or TypeBytes; empty is TypeNumber
	Reason string // for the person who grants it
}

// KnobRequest asks to read one of the device's knobs, and with Write to turn it.
type KnobRequest struct {
	Name   string // "TX_PWR"
	Write  bool
	Reason string
}

// HandleDevice is the handle by which a workload reaches its device; there is no other.
const HandleDevice uint32 = 0

// What the handle of the device does. Request and result are bare bytes: a place in the manifest is 4 bytes and a number 8
// (IEEE 754), least significant first.
const (
	HandleDeviceRead uint32 = 64 // request the place of a property; result its number, or its bytes
	HandleKnobGet    uint32 = 65 // request the place of a knob; result its value as text: "LOW", "12.5"
	HandleKnobSet    uint32 = 66 // request the place of a knob and the new value as text; result empty
)

// Start is the request of [OpStart]: cold. What was not granted is there all the same, since places do not move: the handle
// answers [StatusDenied] for it.
type Start struct {
	Name    string // of the workload
	Device  string // its endpoint name
	TimeNS  int64  // since the Unix epoch
	Version string

	Inputs     []string
	Outputs    []string
	Properties []string
	Knobs      []string

	Parameters     []float64
	ParameterNames []string
}

// Input is the request of [OpInput] and, without values, of [OpTick]: hot. A number is a row of the first two columns, bytes
// a row of the other two.
type Input struct {
	TimeNS  int64 // since the Unix epoch
	IDs     []uint32
	Values  []float64
	DataIDs []uint32
	Data    [][]byte
}

// Emission is the response of a workload's operations: hot. NextMS is the time until the next [OpTick]; 0 keeps the manifest's.
type Emission struct {
	NextMS  uint32
	IDs     []uint32 // places of outputs
	Values  []float64
	DataIDs []uint32
	Data    [][]byte
}

const (
	inputFields    = 5
	emissionFields = 5
)

func (w *Workload) empty() bool {
	return len(w.Inputs)+len(w.Outputs)+len(w.Properties)+len(w.Knobs) == 0 && w.TickMS == 0
}

func appendWorkload(b []byte, w *Workload) []byte {
	f := openFields(b)
	appendList(&f, "knobs", w.Knobs, appendKnobRequest)
	appendList(&f, "inputs", w.Inputs, appendPort)
	appendList(&f, "outputs", w.Outputs, appendPort)
	f.uint("tick_ms", uint64(w.TickMS))
	appendList(&f, "properties", w.Properties, appendPropertyRequest)
	return f.close()
}

func appendPort(b []byte, p *Port) []byte {
	f := openFields(b)
	f.text("name", p.Name)
	f.text("type", p.Type)
	f.text("unit", p.Unit)
	return f.close()
}

func appendPropertyRequest(b []byte, p *PropertyRequest) []byte {
	f := openFields(b)
	f.text("name", p.Name)
	f.text("path", p.Path)
	f.text("type", p.Type)
	f.text("unit", p.Unit)
	f.text("reason", p.Reason)
	return f.close()
}

func appendKnobRequest(b []byte, k *KnobRequest) []byte {
	f := openFields(b)
	f.text("name", k.Name)
	f.bool("write", k.Write)
	f.text("reason", k.Reason)
	return f.close()
}

func decodeWorkload(r *reader, w *Workload) {
	for k := r.keys(); k.next(); {
		switch k.key {
		case "knobs":
			w.Knobs = list(r, w.Knobs, MaxPorts, decodeKnobRequest)
		case "inputs":
			w.Inputs = list(r, w.Inputs, MaxPorts, decodePort)
		case "outputs":
			w.Outputs = list(r, w.Outputs, MaxPorts, decodePort)
		case "tick_ms":
			w.TickMS = r.uint32()
		case "properties":
			w.Properties = list(r, w.Properties, MaxPorts, decodePropertyRequest)
		default:
			r.skip(0)
		}
	}
}

func decodePort(r *reader, p *Port) {
	for k := r.keys(); k.next(); {
		switch k.key {
		case "name":
			p.Name = r.text(MaxName)
		case "type":
			p.Type = r.text(MaxName)
		case "unit":
			p.Unit = r.text(MaxName)
		default:
			r.skip(0)
		}
	}
}

func decodePropertyRequest(r *reader, p *PropertyRequest) {
	for k := r.keys(); k.next(); {
		switch k.key {
		case "name":
			p.Name = r.text(MaxName)
		case "path":
			p.Path = r.text(MaxName)
		case "type":
			p.Type = r.text(MaxName)
		case "unit":
			p.Unit = r.text(MaxName)
		case "reason":
			p.Reason = r.text(MaxText)
		default:
			r.skip(0)
		}
	}
}

func decodeKnobRequest(r *reader, p *KnobRequest) {
	for k := r.keys(); k.next(); {
		switch k.key {
		case "name":
			p.Name = r.text(MaxName)
		case "write":
			p.Write = r.bool()
		case "reason":
			p.Reason = r.text(MaxText)
		default:
			r.skip(0)
		}
	}
}

// AppendStart appends the encoded m to dst.
func AppendStart(dst []byte, m *Start) []byte {
	f := openFields(dst)
	f.text("name", m.Name)
	f.texts("knobs", m.Knobs)
	f.text("device", m.Device)
	f.texts("inputs", m.Inputs)
	f.texts("outputs", m.Outputs)
	f.int("time_ns", m.TimeNS)
	f.text("version", m.Version)
	f.floats("parameters", m.Parameters)
	f.texts("properties", m.Properties)
	f.texts("parameter_names", m.ParameterNames)
	return f.close()
}

// DecodeStart decodes b into m. The texts of m alias b.
func DecodeStart(b []byte, m *Start) error {
	*m = Start{}
	r := reader{b: b, message: "start", alias: true}
	for k := r.keys(); k.next(); {
		m.decodeField(&r, k.key)
	}
	if len(m.ParameterNames) != len(m.Parameters) {
		r.fail("parameters and their names differ in number")
	}
	return r.finish()
}

func (m *Start) decodeField(r *reader, key string) {
	switch key {
	case "name":
		m.Name = r.text(MaxName)
	case "knobs":
		m.Knobs = r.texts(m.Knobs, MaxPorts, MaxName)
	case "device":
		m.Device = r.text(MaxName)
	case "inputs":
		m.Inputs = r.texts(m.Inputs, MaxPorts, MaxName)
	case "outputs":
		m.Outputs = r.texts(m.Outputs, MaxPorts, MaxName)
	case "time_ns":
		m.TimeNS = r.int64()
	case "version":
		m.Version = r.text(MaxName)
	case "parameters":
		m.Parameters = r.float64s(m.Parameters, MaxParameters)
	case "properties":
		m.Properties = r.texts(m.Properties, MaxPorts, MaxName)
	case "parameter_names":
		m.ParameterNames = r.texts(m.ParameterNames, MaxParameters, MaxName)
	default:
		r.skip(0)
	}
}

// AppendInput appends the encoded m to dst. Columns of one table must have one length.
func AppendInput(dst []byte, m *Input) []byte {
	dst = appendHead(dst, majorArray, inputFields)
	dst = appendInt(dst, m.TimeNS)
	return appendBatch(dst, m.IDs, m.Values, m.DataIDs, m.Data)
}

// AppendEmission appends the encoded m to dst. Columns of one table must have one length.
func AppendEmission(dst []byte, m *Emission) []byte {
	dst = appendHead(dst, majorArray, emissionFields)
	dst = appendUint(dst, uint64(m.NextMS))
	return appendBatch(dst, m.IDs, m.Values, m.DataIDs, m.Data)
}

func appendBatch(dst []byte, ids []uint32, values []float64, dataIDs []uint32, data [][]byte) []byte {
	dst = appendUint32s(dst, ids)
	dst = appendFloat64s(dst, values)
	dst = appendUint32s(dst, dataIDs)
	dst = appendHead(dst, majorArray, uint64(len(data)))
	for _, b := range data {
		dst = appendBytes(dst, b)
	}
	return dst
}

// DecodeInput decodes b into m and uses m's slices again. The data of m alias b.
func DecodeInput(b []byte, m *Input) error {
	r := reader{b: b, message: "input", alias: true}
	r.array(inputFields)
	m.TimeNS = r.int64()
	r.batch(&m.IDs, &m.Values, &m.DataIDs, &m.Data)
	return r.finish()
}

// DecodeEmission decodes b into m and uses m's slices again. The data of m alias b. Whether outputs exist is checked by the host.
func DecodeEmission(b []byte, m *Emission) error {
	r := reader{b: b, message: "emission", alias: true}
	r.array(emissionFields)
	m.NextMS = r.uint32()
	r.batch(&m.IDs, &m.Values, &m.DataIDs, &m.Data)
	return r.finish()
}

func (r *reader) batch(ids *[]uint32, values *[]float64, dataIDs *[]uint32, data *[][]byte) {
	*ids = r.uint32s(*ids, MaxBatch)
	*values = r.float64s(*values, MaxBatch)
	*dataIDs = r.uint32s(*dataIDs, MaxBatch)
	*data = list(r, *data, MaxBatch, func(r *reader, b *[]byte) { *b = r.bytes(MaxBody) })
	if len(*ids) != len(*values) || len(*dataIDs) != len(*data) {
		r.fail("columns differ in length")
	}
}
