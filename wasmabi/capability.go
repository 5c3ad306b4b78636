package wasmabi

// Kinds of capabilities that an adapter may ask for. There is none that runs programs.
const (
	CapabilityHTTP = "http" // requests to the hosts that it names
	CapabilityFile = "file" // files whose paths match
	CapabilityKV   = "kv"   // a small store of its own that outlives the instance
	CapabilityCoAP = "coap" // requests over UDP to the hosts that it names
)

// CapabilityRequest asks for one way out of the sandbox. In [Init] it says what was granted; its index there is the
// handle that [ImportCall] takes. What is left empty is not asked for: a capability never grows by being vague.
type CapabilityRequest struct {
	Name    string   // by which the guest finds its handle: "device"
	Kind    string   // "http", "file", "kv" or "coap"
	Hosts   []string // http, coap: "plug.example.org:443", "*.example.org:443", "192.0.2.7:80", "[2001:db8::7]:80"
	Methods []string // http, coap: "GET", "PUT", ...
	Paths   []string // file: "/sys/class/leds/*/brightness"; a pattern stays within its segment
	Write   bool     // file: may write too
	Bytes   uint64   // most of one body, payload or file, and all that kv keeps; 0 is DefaultCapabilityBytes
	Reason  string   // for the person who grants it
}

// DefaultCapabilityBytes is what CapabilityRequest.Bytes stands for when it is 0.
const DefaultCapabilityBytes = 16 << 10

// Provides says which mechanism an adapter makes. It is the adapter's `describe`: it belongs to the manifest, so it is
// known, shown and signed before any code runs, and can't change from call to call.
type Provides struct {
	Mechanism string // "SmartPlug"
	Summary   string
	// Each conflict key may change Burst times at once, then once in EveryMS; 0 is no limit.
	EveryMS, Burst uint32
}

func appendProvides(b []byte, p *Provides) []byte {
	f := openFields(b)
	f.uint("burst", uint64(p.Burst))
	f.text("summary", p.Summary)
	f.uint("every_ms", uint64(p.EveryMS))
	f.text("mechanism", p.Mechanism)
	return f.close()
}

func appendCapability(b []byte, c *CapabilityRequest) []byte {
	f := openFields(b)
	f.text("kind", c.Kind)
	f.text("name", c.Name)
	f.uint("bytes", c.Bytes)
	f.texts("hosts", c.Hosts)
	f.texts("paths", c.Paths)
	f.bool("write", c.Write)
	f.text("reason", c.Reason)
	f.texts("methods", c.Methods)
	return f.close()
}

func decodeProvides(r *reader, p *Provides) {
	for k := r.keys(); k.next(); {
		switch k.key {
		case "burst":
			p.Burst = r.uint32()
		case "summary":
			p.Summary = r.text(MaxText)
		case "every_ms":
			p.EveryMS = r.uint32()
		case "mechanism":
			p.Mechanism = r.text(MaxName)
		default:
			r.skip(0)
		}
	}
}

func decodeCapability(r *reader, c *CapabilityRequest) {
	for k := r.keys(); k.next(); {
		switch k.key {
		case "kind":
			c.Kind = r.text(MaxName)
		case "name":
			c.Name = r.text(MaxName)
		case "bytes":
			c.Bytes = r.uint64()
		case "hosts":
			c.Hosts = r.texts(c.Hosts, MaxPatterns, MaxName)
		case "paths":
			c.Paths = r.texts(c.Paths, MaxPatterns, MaxName)
		case "write":
			c.Write = r.bool()
		case "reason":
			c.Reason = r.text(MaxText)
		case "methods":
			c.Methods = r.texts(c.Methods, MaxVerbs, MaxName)
		default:
			r.skip(0)
		}
	}
}
