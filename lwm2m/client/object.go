package client

import "github.com/edgehold/edgehold/lwm2m"

// Object is one object of the device, with all of its instances. The engine calls it from one goroutine at a time.
type Object interface {
	// Definition describes the object. It never changes, and the caller does not change it.
	Definition() *Definition

	// Instances appends the ids of the instances that exist, ascending.
	Instances(dst []uint16) []uint16

	// Read appends the value of one resource: a single record at the path of the resource, or one for each resource instance, ascending.
	// Appending nothing says that the instance has no such resource at present. The path names a resource that the definition has and
	// an instance that Instances named; the resource may be one that servers cannot read, for the engine's own use.
	Read(dst lwm2m.Tree, resource lwm2m.Path) (lwm2m.Tree, error)
}

// WriteMode says what a Write does with what it does not mention (LwM2M Core 6.3.3).
type WriteMode uint8

const (
	// Update leaves alone what the tree does not mention.
	Update WriteMode = iota
	// Replace makes the target as the tree says: optional resources of an instance, or instances of a resource, that it leaves out go.
	Replace
)

// Writer is an object with resources that a server may write.
type Writer interface {
	// Write changes resources at and below target, an instance, a resource or a resource instance, all of them or none. The engine has
	// checked that every record names a writable resource of the definition and has its kind of value.
	Write(target lwm2m.Path, t lwm2m.Tree, mode WriteMode) error
}

// Executor is an object with executable resources.
type Executor interface {
	// Execute runs the resource. args is the text of the request as it came, at most 256 bytes; ParseArguments takes it apart.
	Execute(resource lwm2m.Path, args string) error
}

// Factory is an object whose instances servers create and delete.
type Factory interface {
	// Create makes the instance, which does not exist, with the values of the tree.
	Create(instance lwm2m.Path, t lwm2m.Tree) error
	// Delete removes the instance, which exists.
	Delete(instance lwm2m.Path) error
}

// Block is a part of a long opaque value on its way in.
type Block struct {
	Offset int64
	Data   []byte // valid during the call only
	Last   bool
	// Size is what the sender announced as the whole (CoAP Size1), 0 if it did not.
	Size int64
}

// Streamer is an object with opaque resources too long to be held in memory: they arrive block by block (RFC 7959 Block1).
type Streamer interface {
	// Streams tells whether the resource is written by WriteBlock.
	Streams(resource lwm2m.Path) bool
	// WriteBlock takes the next part of a value. A part at offset 0 begins anew. A part that does not continue what has arrived is
	// refused with ErrIncomplete; how much has arrived may survive a restart of the device, and the transfer goes on from there.
	WriteBlock(resource lwm2m.Path, b Block) error
}

// Announcer is an object whose values change by themselves.
type Announcer interface {
	// Announce hands the object the function to call after a value has changed or an instance has come or gone. The function returns at
	// once and may be called from any goroutine, from within a call by the engine too.
	Announce(changed func(lwm2m.Path))
}
