package codec

import "github.com/edgehold/edgehold/lwm2m"

// oldEntry is an element of "e".
type oldEntry struct {
	name  string
	time  float64
	value lwm2m.Value
	text  bool // the value is that of sv, which opaque bytes share
	at    int
}

// oldJSON decodes the JSON of 1.0 (11543): {"bn":"/3/0/","e":[{"n":"0","sv":"Acme"}]}. The base name may come after the
// entries, so these are kept until the end.
func (b *builder) oldJSON(payload []byte) {
	r := jsonReader{b: payload}
	base := b.base.String()
	baseTime := 0.0
	var entries []oldEntry
	r.members("the payload is an object", func(name string) {
		switch name {
		case "bn":
			base = r.text("bn is text")
		case "bt":
			baseTime = r.number("bt is a number")
		case "e":
			r.list('[', ']', "e is an array", func() {
				if len(entries) == MaxRecords {
					b.fail(CodeTooLarge, r.at, "there are too many records")
					r.fail("")
				}
				entries = append(entries, r.oldEntry())
			})
		default:
			r.skip(0)
		}
	})
	r.end()
	if r.problem != "" {
		b.fail(CodeMalformed, r.failed, r.problem)
	}
	for _, e := range entries {
		b.addOld(base, baseTime, e)
	}
}

func (r *jsonReader) oldEntry() (e oldEntry) {
	e.at = r.at
	r.members("an entry is an object", func(name string) {
		switch name {
		case "n":
			e.name = r.text("n is text")
		case "t":
			e.time = r.number("t is a number")
		case "v":
			e.value = r.value("v is a number")
		case "sv":
			e.value, e.text = lwm2m.String(r.text("sv is text")), true
		case "bv":
			e.value = r.boolean()
		case "ov":
			e.value = r.objectLink()
		default:
			r.skip(0)
		}
	})
	return e
}

func (b *builder) addOld(base string, baseTime float64, e oldEntry) {
	if e.name != "" && e.name[0] != '/' && base != "" && base[len(base)-1] != '/' {
		base += "/"
	}
	path, err := lwm2m.ParsePath(base + e.name)
	if err != nil {
		b.fail(CodePath, e.at, "the name of an entry is no path")
		return
	}
	t, ok := b.resolve(&pack{baseTime: baseTime, time: e.time})
	if !ok {
		b.fail(CodeMalformed, e.at, "a time is out of range")
		return
	}
	if kind, _, _ := b.kind(path); kind == lwm2m.KindOpaque && e.text {
		bytes, ok := decodeBase64(e.value.Text())
		if !ok {
			b.fail(CodeType, e.at, "opaque bytes have to be base64")
		}
		e.value = lwm2m.Opaque(bytes)
	}
	b.addAt(path, e.value, t, e.at)
}
