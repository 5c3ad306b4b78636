package fleet

import (
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
	formatText       = 0
	formatSenMLCBOR  = 112
	noFormat         = math.MaxUint16
	manufacturerPath = "/3/0/0"
	sensorPath       = "/3303/0/5700"
)

// answer answers a request of the gateway's.
func (d *device) answer(b []byte, request *packet, path string, accept, observe uint16) []byte {
	kind := coap.Acknowledgement
	if request.kind == coap.NonConfirmable {
		kind = coap.NonConfirmable
	}
	code := coap.Content
	switch {
	case request.code != coap.GET:
		code = coap.MethodNotAllowed
	case path != manufacturerPath && path != sensorPath:
		code = coap.NotFound
	case accept != noFormat && accept != formatText && accept != formatSenMLCBOR:
		code = coap.NotAcceptable
	}
	w := begin(b, kind, code, request.id, request.token)
	if code != coap.Content {
		return w.b
	}
	if observe == 0 {
		w.number(coap.Observe, uint32(d.sequence))
	}
	if accept == noFormat {
		accept = formatText
	}
	w.number(coap.ContentFormat, uint32(accept))
	if accept == formatText {
		w.payload(d.plain(path))
	} else {
		w.b = d.appendSenML(append(w.b, 0xff), path)
	}
	return w.b
}

func (d *device) plain(path string) string {
	if path == manufacturerPath {
		return "Edgehold"
	}
	return d.text()
}

// appendSenML appends [{0: path, value}], RFC 8428 section 6.
func (d *device) appendSenML(b []byte, path string) []byte {
	b = append(b, 0x81, 0xa2, 0x00, 0x60+byte(len(path)))
	b = append(b, path...)
	if path == manufacturerPath {
		return append(append(b, 0x03, 0x68), "Edgehold"...)
	}
	bits := math.Float32bits(d.value)
	return append(b, 0x02, 0xfa, byte(bits>>24), byte(bits>>16), byte(bits>>8), byte(bits))
}
