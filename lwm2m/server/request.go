package server

import (
	"fmt"
	"strings"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
)

// Operation is one of what a server asks of a device (Core 1.2 §6.3, §6.4).
type Operation uint8

// Operations.
const (
	OpRead Operation = iota + 1
	OpDiscover
	OpWrite   // what is not in Tree stays (partial update)
	OpReplace // what is not in Tree goes
	OpWriteAttributes
	OpExecute
	OpCreate
	OpDelete
	OpObserve
	OpReadComposite
	OpWriteComposite
	OpObserveComposite
	OpCancel // of the observation in Request.Observation
)

var operationNames = [...]string{"do nothing", "read", "discover", "write", "replace", "write attributes of", "execute", "create", "delete", "observe",
	"read together", "write together", "observe together", "cancel observation of"}

// String returns the operation as a verb.
func (o Operation) String() string {
	if int(o) < len(operationNames) {
		return operationNames[o]
	}
	return "unknown operation"
}

// Request is one operation on a device.
type Request struct {
	Operation   Operation
	Path        lwm2m.Path
	Paths       []lwm2m.Path // of OpReadComposite and OpObserveComposite
	Tree        lwm2m.Tree   // of what is written or created, in order; paths are absolute; instance NoID lets the device choose
	Arguments   string       // of OpExecute, as Core 1.2 §6.3.5 has them: 0='text',1
	Attributes  lwm2m.Attributes
	Depth       uint8         // of OpDiscover: levels below Path that are listed, 1 to 3; 0 is as many as the device lists by itself
	Observation ObservationID // of OpCancel
}

// Answer is what a device answers to a [Request].
type Answer struct {
	Code  coap.Code
	Tree  lwm2m.Tree  // of what was read or is observed
	Links lwm2m.Links // of OpDiscover
	Path  lwm2m.Path  // of the instance that OpCreate has made
	// Observations are those that OpObserve and OpObserveComposite have begun: one, or one for each path if the device knows no
	// composite ones.
	Observations []ObservationID

	observed bool // the answer has an Observe option
	sequence uint32
	under    uint64 // the registration that it came under
}

// repeatable says whether the request may be done twice when nobody knows whether it was done once.
func (r *Request) repeatable() bool {
	switch r.Operation {
	case OpExecute, OpCreate, OpWriteComposite:
		return false
	case OpWrite:
		return len(r.Tree) == 1 && r.Tree[0].Path == r.Path
	default:
		return true
	}
}

// what is the request in words, for errors.
func (r *Request) what(endpoint string) string {
	target := r.Path.String()
	switch r.Operation {
	case OpReadComposite, OpObserveComposite:
		target = pathList(r.Paths)
	case OpWriteComposite:
		var paths []lwm2m.Path
		for _, record := range r.Tree {
			paths = append(paths, record.Path)
		}
		target = pathList(paths)
	}
	return fmt.Sprintf("%s %s of device %s", r.Operation, target, quoted(endpoint))
}

func pathList(paths []lwm2m.Path) string {
	const most = 4
	var b strings.Builder
	for i, p := range paths {
		if i == most {
			fmt.Fprintf(&b, " and %d more", len(paths)-most)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(p.String())
	}
	return b.String()
}

// check says whether the request makes sense at all.
func (r *Request) check() error {
	low, high := 1, 4
	switch r.Operation {
	case OpRead, OpDiscover, OpReplace, OpObserve, OpWriteAttributes:
	case OpWrite:
		low = 2
	case OpExecute:
		low, high = 3, 3
	case OpCreate:
		high = 2
	case OpDelete: // a resource instance can be deleted as of 1.2
		low = 2
	case OpReadComposite, OpObserveComposite:
		return r.checkPaths()
	case OpWriteComposite:
		return r.checkTree(lwm2m.Path{})
	case OpCancel:
		return nil
	default:
		return badCall("ask a device", "there is no such operation", "use one of the operations")
	}
	if depth := r.Path.Depth(); depth < low || depth > high {
		return badCall(r.Operation.String()+" "+r.Path.String(), fmt.Sprintf("its path has %d levels, and takes %d to %d", depth, low, high),
			"name an object /3, an instance /3/0, a resource /3/0/13 or one of its instances /19/0/0/1")
	}
	if r.Depth > lwm2m.MaxDepth-1 {
		return badCall(r.Operation.String()+" "+r.Path.String(), fmt.Sprintf("it asks for %d levels", r.Depth), "ask for 1 to 3, or leave it to the device")
	}
	return r.checkTree(r.Path)
}

func (r *Request) checkPaths() error {
	const most = 100
	if len(r.Paths) == 0 || len(r.Paths) > most {
		return badCall(r.Operation.String(), fmt.Sprintf("it has %d paths", len(r.Paths)), fmt.Sprintf("name 1 to %d", most))
	}
	return nil
}

func (r *Request) checkTree(base lwm2m.Path) error {
	for i, record := range r.Tree {
		if !base.Contains(record.Path) || i > 0 && r.Tree[i-1].Path.Compare(record.Path) > 0 {
			return badCall(r.Operation.String()+" "+r.Path.String(), record.Path.String()+" does not lie below it, or not in order", "sort the tree and use absolute paths")
		}
	}
	if len(r.Tree) == 0 && (r.Operation == OpWrite || r.Operation == OpReplace || r.Operation == OpWriteComposite) {
		return badCall(r.Operation.String()+" "+r.Path.String(), "there is nothing to write", "give a value")
	}
	return nil
}
