package server

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
)

var (
	errTooManyLinks = errors.New("too many links")
	errBadRoot      = errors.New("the root of the tree is no path")
	errManyLinks    = errors.New("the links of all devices together have reached their bound")
)

// application is what a device asks for when it registers or updates.
type application struct {
	endpoint string
	version  lwm2m.Version
	lifetime uint32 // seconds
	binding  string
	sms      string
	queue    bool // the Q parameter of 1.1, or the letter of 1.0
	has      struct{ endpoint, version, lifetime, binding, sms bool }
}

const (
	defaultLifetime = 86400 // Core 1.2 §6.2.1
	maxBinding      = 8
	maxSMS          = 32
)

func malformed(what, why, hint string) error {
	return &Error{Code: "lwm2m-server.bad-registration", CoAP: coap.BadRequest, What: what, Why: why, Hint: hint}
}

// apply reads the query parameters of a Register or Update. Unknown ones are passed over (Core 1.2 §6.2.1).
func (a *application) apply(request *coap.Message) error {
	for q := range request.All(coap.URIQuery) {
		name, value, _ := strings.Cut(string(q), "=")
		if err := a.set(name, value); err != nil {
			return err
		}
	}
	return nil
}

func (a *application) set(name, value string) error {
	switch name {
	case "ep":
		a.endpoint = value
		return once(name, &a.has.endpoint)
	case "lwm2m":
		v, err := lwm2m.ParseVersion(value)
		if err != nil {
			return badParameter(name, "it is no version", "lwm2m=1.1")
		}
		a.version = v
		return once(name, &a.has.version)
	case "lt":
		n, err := strconv.ParseUint(value, 10, 64)
		if err != nil || n == 0 {
			return badParameter(name, "it is no number of seconds above 0", "lt=86400")
		}
		a.lifetime = uint32(min(n, math.MaxUint32))
		return once(name, &a.has.lifetime)
	case "b":
		if !validBinding(value) {
			return badParameter(name, "it is no binding mode", "b=U")
		}
		a.binding = value
		return once(name, &a.has.binding)
	case "Q":
		a.queue = true
	case "sms":
		if len(value) > maxSMS || !printable(value) {
			return badParameter(name, "it is no number", "sms=491701234567")
		}
		a.sms = value
		return once(name, &a.has.sms)
	}
	return nil
}

func once(name string, has *bool) error {
	if *has {
		return badParameter(name, "it is given twice", "give each parameter once")
	}
	*has = true
	return nil
}

func badParameter(name, why, hint string) error {
	return malformed("read the parameter "+name, name+": "+why, hint)
}

// validBinding takes the letters of Core 1.2 §6.2.1.2 in any order, each at most once, with the Q of 1.0.
func validBinding(b string) bool {
	if b == "" || len(b) > maxBinding {
		return false
	}
	for i := range len(b) {
		if !strings.ContainsRune("UTSNMHQ", rune(b[i])) || strings.IndexByte(b[i+1:], b[i]) >= 0 {
			return false
		}
	}
	return b != "Q"
}

func printable(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// check says whether a Register is complete. The name may be left to the credential (Core 1.1 §6.2.1).
func (a *application) check(p coap.Peer, maxName int) error {
	if a.endpoint == "" {
		a.endpoint = p.Identity
	}
	switch {
	case a.endpoint == "":
		return malformed("register", "ep is missing", "ep=NAME")
	case len(a.endpoint) > maxName:
		return malformed("register "+quoted(a.endpoint), fmt.Sprintf("the name is longer than %d bytes", maxName), "use a shorter name")
	case !printable(a.endpoint):
		return malformed("register "+quoted(a.endpoint), "the name has characters that cannot be printed", "use letters, digits and - . _ :")
	case strings.Trim(a.endpoint, " ") != a.endpoint:
		return malformed("register "+quoted(a.endpoint), "the name begins or ends with a space, and looks like another", "leave the space out")
	case !a.has.version:
		return malformed("register "+quoted(a.endpoint), "lwm2m is missing", "lwm2m=1.1")
	case a.version.Major != 1 || a.version.Minor > 2:
		return &Error{Code: "lwm2m-server.version", CoAP: coap.PreconditionFailed, What: "register " + quoted(a.endpoint),
			Why: "LwM2M " + a.version.String() + " is not supported", Hint: "use 1.0, 1.1 or 1.2"}
	}
	return nil
}

// inQueueMode says whether the device sleeps: Q of 1.1, UQ of 1.0.
func (a *application) inQueueMode() bool { return a.queue || strings.Contains(a.binding, "Q") }

// linksOf returns the document of a Register or Update, nil if there is none.
func (s *Server) linksOf(request *coap.Message) ([]byte, error) {
	if len(request.Payload) == 0 {
		return nil, nil
	}
	if f, ok := request.Uint(coap.ContentFormat); ok && lwm2m.Format(f) != lwm2m.FormatLinks {
		return nil, &Error{Code: "lwm2m-server.bad-registration", CoAP: coap.UnsupportedFormat, What: "read the links", Why: "their format is not 40", Hint: "send them in the CoRE Link Format"}
	}
	if len(request.Payload) > s.config.Limits.LinkBytes {
		return nil, tooManyLinks(fmt.Sprintf("they have more than %d bytes", s.config.Limits.LinkBytes))
	}
	return request.Payload, nil
}

// acquireLinks returns the shared form of a document.
func (s *Server) acquireLinks(document []byte) (*linkSet, error) {
	set, err := s.links.acquire(document, s.config.Limits.Links)
	switch {
	case errors.Is(err, errTooManyLinks):
		return nil, tooManyLinks(fmt.Sprintf("there are more than %d", s.config.Limits.Links))
	case errors.Is(err, errManyLinks):
		return nil, &Error{Code: "lwm2m-server.full", CoAP: coap.ServiceUnavailable, What: "keep the links", Why: err.Error(), Hint: "remove devices, or raise the limit"}
	case err != nil:
		return nil, malformed("read the links", err.Error(), "send them in the CoRE Link Format, such as </1/0>,</3/0>")
	}
	return set, nil
}

func tooManyLinks(why string) error {
	return &Error{Code: "lwm2m-server.too-many-links", CoAP: coap.EntityTooLarge, What: "read the links", Why: why, Hint: "name objects without their instances"}
}
