package mqtt

import (
	"strings"
	"time"
)

// Operation is what a request asks for.
type Operation string

const (
	Get      Operation = "GET"      // read a property, an instance, an object; of a thing its model
	Post     Operation = "POST"     // write a property (partially, if it is an array), invoke an action, create an instance
	Put      Operation = "PUT"      // replace a property or an instance
	Delete   Operation = "DELETE"   // remove an instance
	Observe  Operation = "OBSERVE"  // have changes published under event/; data may hold the attributes of notification
	Cancel   Operation = "CANCEL"   // end what OBSERVE began
	Discover Operation = "DISCOVER" // what is there, and its attributes, as links (RFC 6690) in data
)

// operation reads the name of one; upper and lower case are alike.
func operation(s string) (Operation, bool) {
	switch op := Operation(strings.ToUpper(s)); op {
	case Get, Post, Put, Delete, Observe, Cancel, Discover:
		return op, true
	}
	return "", false
}

// Request asks a thing for something.
type Request struct {
	Topic
	Operation Operation
	Data      any    // nil, bool, string, int64, uint64, float64, []byte, []any, map[string]any
	CBOR      bool   // the request came, and the answer goes, as CBOR; JSON otherwise
	User      string // who asks, as the broker knows them; "" if it can't tell
}

// changes says whether a request may change a device: what a user that only looks may not ask for. The attributes of an observation are the
// device's, and the same for all who observe.
func (r *Request) changes() bool {
	switch r.Operation {
	case Post, Put, Delete:
		return true
	case Observe:
		attributes, ok := r.Data.(map[string]any)
		return len(attributes) > 0 || r.Data != nil && !ok
	}
	return false
}

// Instance is one of an object.
type Instance struct {
	Label      uint16
	Properties map[string]any // values as in Request.Data
}

// Objects are instances by the name of their object.
type Objects map[string][]Instance

// Response answers a Request.
type Response struct {
	Code    Code
	Objects Objects
	Data    any // what an action returned, the links that DISCOVER found, a created instance's label
	Model   any // SDF document of a thing
	Error   *Error
}

// Notification is what a thing told without being asked this time.
type Notification struct {
	Topic   Topic
	Objects Objects
	Time    time.Time // when it was so; the zero value if nobody told
	Error   *Error    // why there will be no more of them
}

// One is the objects of one property.
func One(t Topic, value any) Objects {
	n, _ := t.Label.Number()
	return Objects{t.Object: {{Label: n, Properties: map[string]any{t.Name: value}}}}
}

// Property is the value of the property that t addresses.
func (o Objects) Property(t Topic) (value any, ok bool) {
	n, labelled := t.Label.Number()
	for _, in := range o[t.Object] {
		if in.Label == n || !labelled {
			value, ok = in.Properties[t.Name]
			return value, ok
		}
	}
	return nil, false
}
