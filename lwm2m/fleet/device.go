package fleet

import (
	"encoding/binary"
	"math"
	"strconv"

	"github.com/edgehold/edgehold/lwm2m/coap"
)

// state is where a device is in its life.
type state uint8

const (
	off         state = iota // has not begun, or waits to begin again
	registering              // waits for 2.01
	registered
	updating // registered, and waits for 2.04
)

// device is one device. Times are nanoseconds since the fleet began.
type device struct {
	next   int64 // when there is something to do; what the agenda says earlier or later is void
	since  int64 // when the exchange under way began
	update int64 // when the next update is due
	awake  int64 // until when a sleeper hears

	location [20]byte // the last segment of the registration's path
	token    [8]byte  // of the observation
	value    float32  // of the sensor

	sequence     uint16 // of notifications
	id           uint16 // of the last message
	locationSize uint8
	tokenSize    uint8
	observing    bool
	sleeper      bool
	state        state
	tries        uint8
	generation   uint8 // which of its addresses
}

// asleep reports whether the device hears nothing.
func (d *device) asleep(now int64) bool { return d.sleeper && d.state == registered && now > d.awake }

// links are what a device has, as it says when it registers.
const links = `</>;rt="oma.lwm2m";ct="0 112",</1/0>;ver=1.1,</3/0>;ver=1.1,</4/0>;ver=1.3,</3303/0>;ver=1.1`

func (f *Fleet) register(b []byte, index int, d *device) []byte {
	w := begin(b, coap.Confirmable, coap.POST, d.id, exchangeToken(d.id))
	w.option(coap.URIPath, "rd")
	w.number(coap.ContentFormat, 40)
	w.option(coap.URIQuery, "ep="+f.name(index))
	w.option(coap.URIQuery, f.lifetime)
	w.option(coap.URIQuery, "lwm2m=1.1")
	w.option(coap.URIQuery, "b=U")
	if d.sleeper {
		w.option(coap.URIQuery, "Q")
	}
	w.payload(links)
	return w.b
}

func (d *device) renew(b []byte) []byte {
	w := begin(b, coap.Confirmable, coap.POST, d.id, exchangeToken(d.id))
	w.option(coap.URIPath, "rd")
	w.option(coap.URIPath, string(d.location[:d.locationSize]))
	return w.b
}

func (d *device) notification(b []byte) []byte {
	w := begin(b, coap.NonConfirmable, coap.Content, d.id, d.token[:d.tokenSize])
	w.number(coap.Observe, uint32(d.sequence))
	w.number(coap.ContentFormat, formatText)
	w.payload(d.text())
	return w.b
}

func (d *device) text() string { return strconv.FormatFloat(float64(d.value), 'f', -1, 32) }

// exchangeToken is the token of our request with a message id. One is under way at a time, so that it need not be random here.
func exchangeToken(id uint16) []byte { return []byte{byte(id >> 8), byte(id)} }

// Content formats that a device speaks.
const (
	formatText      = 0
	formatSenMLCBOR = 112
	noFormat        = math.MaxUint16

	devicePath       = "/3/0"
	manufacturerPath = "/3/0/0"
	typePath         = "/3/0/17"
	thermometerPath  = "/3303/0"
	sensorPath       = "/3303/0/5700"
	unitPath         = "/3303/0/5701"
)

// below lists the resources of what can be read.
func below(path string) []string {
	switch path {
	case devicePath:
		return []string{manufacturerPath, typePath}
	case thermometerPath:
		return []string{sensorPath, unitPath}
	case manufacturerPath, typePath, sensorPath, unitPath:
		return []string{path}
	}
	return nil
}

// answer answers a request of the gateway's.
func (d *device) answer(b []byte, request *packet, path string, accept, observe uint16) []byte {
	kind := coap.Acknowledgement
	if request.kind == coap.NonConfirmable {
		kind = coap.NonConfirmable
	}
	code, resources := coap.Content, below(path)
	if accept == noFormat {
		accept = formatSenMLCBOR
		if len(resources) == 1 {
			accept = formatText
		}
	}
	switch {
	case request.code != coap.GET:
		code = coap.MethodNotAllowed
	case len(resources) == 0:
		code = coap.NotFound
	case accept != formatSenMLCBOR && (accept != formatText || len(resources) > 1):
		code = coap.NotAcceptable
	}
	w := begin(b, kind, code, request.id, request.token)
	if code != coap.Content {
		return w.b
	}
	if observe == 0 {
		w.number(coap.Observe, uint32(d.sequence))
	}
	w.number(coap.ContentFormat, uint32(accept))
	if accept == formatText {
		w.payload(d.plain(resources[0]))
	} else {
		w.b = d.appendSenML(append(w.b, 0xff), resources)
	}
	return w.b
}

func (d *device) plain(resource string) string {
	switch resource {
	case manufacturerPath:
		return "Edgehold"
	case typePath:
		return "edgehold-device fleet simulated"
	case unitPath:
		return "Cel"
	}
	return d.text()
}

// appendSenML appends a record {0: path, 2 or 3: value} for each resource, RFC 8428 section 6.
func (d *device) appendSenML(b []byte, resources []string) []byte {
	b = append(b, 0x80+byte(len(resources)))
	for _, resource := range resources {
		b = appendText(append(b, 0xa2, 0x00), resource)
		if resource != sensorPath {
			b = appendText(append(b, 0x03), d.plain(resource))
			continue
		}
		b = binary.BigEndian.AppendUint32(append(b, 0x02, 0xfa), math.Float32bits(d.value))
	}
	return b
}

// appendText appends a CBOR text of less than 256 bytes.
func appendText(b []byte, text string) []byte {
	if len(text) < 24 {
		b = append(b, 0x60+byte(len(text)))
	} else {
		b = append(b, 0x78, byte(len(text)))
	}
	return append(b, text...)
}
