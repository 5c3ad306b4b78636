package mqtt

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Topic is an address in SDF as a topic of MQTT:
//
//	<thing>
//	<thing>/<object>
//	<thing>/<object>/<label>
//	<thing>/<object>/<label>/Property|Action|Event/<name>
//	<thing>/<object>/<label>/Property/<name>/<element>
//
// In each segment what MQTT or the grammar has a use for is percent-encoded (RFC 3986, 2.1), so that a name may hold anything.
// One address has one topic: [ParseTopic] takes only what [Topic.String] prints.
type Topic struct {
	Thing      string // endpoint name
	Object     string // name of an sdfObject, "" for the thing itself
	Label      Label  // instance of the object
	Affordance Affordance
	Name       string // of the property, action or event
	Element    Label  // of a property that is an array: LwM2M's resource instance
}

// Label is the number of an instance, or none: the zero value.
type Label uint32

// At is the label of instance n.
func At(n uint16) Label { return Label(n) + 1 }

// Number is the instance's number, and whether there is one.
func (l Label) Number() (n uint16, ok bool) { return uint16(l - 1), l != 0 }

// Affordance is what an object offers: one of SDF's three interaction affordances (RFC 9880, 2.2), or None.
type Affordance uint8

const (
	None Affordance = iota
	Property
	Action
	Event
)

var affordances = [...]string{None: "", Property: "Property", Action: "Action", Event: "Event"}

func (a Affordance) String() string { return affordances[a] }

// The first segments that name no thing. A thing of that name has its first letter encoded.
const (
	topicAnnounce   = "announce"
	topicUnregister = "unregister"
	topicEvent      = "event"
	topicGateway    = "gateway"
	topicReply      = "reply"
)

var reserved = map[string]bool{topicAnnounce: true, topicUnregister: true, topicEvent: true, topicGateway: true, topicReply: true}

const (
	maxTopic   = 4096 // bytes of a topic; MQTT would allow 65,535
	maxSegment = 1024 // bytes of a name after decoding
)

// ErrTopic is in every error of ParseTopic.
var ErrTopic = errors.New("not the topic of a thing")

// String prints t as a topic.
func (t Topic) String() string { return string(t.append(make([]byte, 0, 64))) }

func (t Topic) append(b []byte) []byte {
	b = appendSegment(b, t.Thing, true)
	if t.Object == "" {
		return b
	}
	b = appendSegment(append(b, '/'), t.Object, false)
	b = appendLabel(b, t.Label)
	if t.Label == 0 || t.Affordance == None {
		return b
	}
	b = append(append(b, '/'), t.Affordance.String()...)
	b = appendSegment(append(b, '/'), t.Name, false)
	return appendLabel(b, t.Element)
}

func appendLabel(b []byte, l Label) []byte {
	n, ok := l.Number()
	if !ok {
		return b
	}
	return strconv.AppendUint(append(b, '/'), uint64(n), 10)
}

// Pointer is the JSON pointer (RFC 6901) of what t addresses in the model of its thing, "" for the thing itself.
func (t Topic) Pointer() string {
	if t.Object == "" {
		return ""
	}
	p := "#/sdfObject/" + escapePointer(t.Object)
	if t.Affordance != None {
		p += "/sdf" + t.Affordance.String() + "/" + escapePointer(t.Name)
	}
	return p
}

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

func escapePointer(s string) string { return pointerEscapes.Replace(s) }

// ParseTopic reads the address that a topic is.
func ParseTopic(s string) (Topic, error) {
	var t Topic
	if len(s) > maxTopic {
		return t, fmt.Errorf("%w: %d bytes, more than %d", ErrTopic, len(s), maxTopic)
	}
	first, _, _ := strings.Cut(s, "/")
	if reserved[first] {
		return t, fmt.Errorf("%w: %q is reserved", ErrTopic, first)
	}
	if err := t.parse(s); err != nil {
		return Topic{}, fmt.Errorf("%w: %w", ErrTopic, err)
	}
	return t, nil
}

func (t *Topic) parse(s string) (err error) {
	var parts [7]string
	n := split(s, &parts)
	switch {
	case n > 6 || n == 4:
		return fmt.Errorf("%d segments", n)
	case n == 6 && parts[3] != affordances[Property]:
		return errors.New("only a property has elements")
	}
	if t.Thing, err = segment(parts[0], true); err != nil || n == 1 {
		return err
	}
	if t.Object, err = segment(parts[1], false); err != nil || n == 2 {
		return err
	}
	if t.Label, err = label(parts[2]); err != nil || n == 3 {
		return err
	}
	if t.Affordance, err = affordance(parts[3]); err != nil {
		return err
	}
	if t.Name, err = segment(parts[4], false); err != nil || n == 5 {
		return err
	}
	t.Element, err = label(parts[5])
	return err
}

// split cuts s at its slashes into as many parts as there is room for.
func split(s string, parts *[7]string) (n int) {
	for n = range parts {
		head, tail, more := strings.Cut(s, "/")
		if parts[n] = head; !more {
			return n + 1
		}
		s = tail
	}
	return len(parts)
}

func affordance(s string) (Affordance, error) {
	for a, name := range affordances {
		if s == name && s != "" {
			return Affordance(a), nil
		}
	}
	return None, fmt.Errorf("%q is none of Property, Action and Event", s)
}

func label(s string) (Label, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || strconv.FormatUint(n, 10) != s {
		return 0, fmt.Errorf("%q is not the number of an instance", s)
	}
	return At(uint16(n)), nil
}
