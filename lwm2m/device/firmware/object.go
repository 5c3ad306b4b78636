package firmware

import (
	"fmt"
	"slices"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/client"
)

// Resources of object 5.
const (
	resourcePackage   = 0
	resourceURI       = 1
	resourceUpdate    = 2
	resourceState     = 3
	resourceResult    = 5
	resourceName      = 6
	resourceVersion   = 7
	resourceProtocols = 8
	resourceDelivery  = 9
	resourceCancel    = 10
	resourceSeverity  = 11
	resourceChanged   = 12
	resourceMaxDefer  = 13
	resourceAutomatic = 14
)

// Ways of delivery, resource 9.
const (
	deliveryPush = 1
	deliveryBoth = 2
)

var definition = client.Definition{ID: 5, Version: lwm2m.V1_2, Resources: []client.Resource{
	{ID: resourcePackage, Name: "Package", Kind: lwm2m.KindOpaque, Operations: client.Writable, Mandatory: true},
	{ID: resourceURI, Name: "Package URI", Kind: lwm2m.KindString, Operations: client.ReadWrite, Mandatory: true},
	{ID: resourceUpdate, Name: "Update", Operations: client.Executable, Mandatory: true},
	{ID: resourceState, Name: "State", Kind: lwm2m.KindInteger, Operations: client.Readable, Mandatory: true},
	{ID: resourceResult, Name: "Update Result", Kind: lwm2m.KindInteger, Operations: client.Readable, Mandatory: true},
	{ID: resourceName, Name: "PkgName", Kind: lwm2m.KindString, Operations: client.Readable},
	{ID: resourceVersion, Name: "PkgVersion", Kind: lwm2m.KindString, Operations: client.Readable},
	{ID: resourceProtocols, Name: "Firmware Update Protocol Support", Kind: lwm2m.KindInteger, Operations: client.Readable, Multiple: true},
	{ID: resourceDelivery, Name: "Firmware Update Delivery Method", Kind: lwm2m.KindInteger, Operations: client.Readable, Mandatory: true},
	{ID: resourceCancel, Name: "Cancel", Operations: client.Executable},
	{ID: resourceSeverity, Name: "Severity", Kind: lwm2m.KindInteger, Operations: client.ReadWrite},
	{ID: resourceChanged, Name: "Last State Change Time", Kind: lwm2m.KindTime, Operations: client.Readable},
	{ID: resourceMaxDefer, Name: "Maximum Defer Period", Kind: lwm2m.KindUnsigned, Operations: client.ReadWrite},
	{ID: resourceAutomatic, Name: "Automatic Upgrade at Download", Kind: lwm2m.KindBoolean, Operations: client.ReadWrite},
}}

// Definition implements client.Object.
func (u *Update) Definition() *client.Definition { return &definition }

// Instances implements client.Object.
func (u *Update) Instances(dst []uint16) []uint16 { return append(dst, 0) }

// Announce implements client.Announcer.
func (u *Update) Announce(changed func(lwm2m.Path)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.announce = changed
}

// Streams implements client.Streamer.
func (u *Update) Streams(p lwm2m.Path) bool { return p.Resource() == resourcePackage }

// Read implements client.Object.
func (u *Update) Read(dst lwm2m.Tree, p lwm2m.Path) (lwm2m.Tree, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if p.Resource() == resourceProtocols {
		return u.protocols(dst, p), nil
	}
	v := u.value(p.Resource())
	if v.IsNone() {
		return dst, nil
	}
	return append(dst, lwm2m.Record{Path: p, Value: v}), nil
}

func (u *Update) value(resource uint16) lwm2m.Value {
	r := &u.record
	switch resource {
	case resourceURI:
		return lwm2m.String(r.URI)
	case resourceState:
		return lwm2m.Integer(int64(r.State))
	case resourceResult:
		return lwm2m.Integer(int64(r.Result))
	case resourceName:
		return lwm2m.String(r.Name)
	case resourceVersion:
		return lwm2m.String(r.Version)
	case resourceDelivery:
		if u.config.Fetcher == nil {
			return lwm2m.Integer(deliveryPush)
		}
		return lwm2m.Integer(deliveryBoth)
	case resourceSeverity:
		return lwm2m.Integer(r.Severity)
	case resourceChanged:
		return lwm2m.Time(r.Changed)
	case resourceMaxDefer:
		return lwm2m.Unsigned(r.MaxDefer)
	case resourceAutomatic:
		return lwm2m.Boolean(r.Automatic)
	default:
		return lwm2m.Value{}
	}
}

// schemes are the protocols of resource 8, in the order of their numbers.
var schemes = []string{"coap", "coaps", "http", "https", "coap+tcp", "coaps+tcp"}

func (u *Update) protocols(dst lwm2m.Tree, p lwm2m.Path) lwm2m.Tree {
	if u.config.Fetcher == nil {
		return dst
	}
	n := uint16(0)
	for number, scheme := range schemes {
		if slices.Contains(u.config.Fetcher.Schemes(), scheme) {
			dst = append(dst, lwm2m.Record{Path: p.Child(n), Value: lwm2m.Integer(int64(number))})
			n++
		}
	}
	return dst
}

// Write implements client.Writer. A package may come by it too, as part of a larger write.
func (u *Update) Write(_ lwm2m.Path, t lwm2m.Tree, _ client.WriteMode) error {
	for _, r := range t {
		if err := u.write(r.Path, r.Value); err != nil {
			return err
		}
	}
	return nil
}

func (u *Update) write(p lwm2m.Path, v lwm2m.Value) error {
	if p.Resource() == resourcePackage {
		return u.WriteBlock(p, client.Block{Data: v.Bytes(), Last: true, Size: int64(len(v.Text()))})
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	next := u.record
	switch p.Resource() {
	case resourceURI:
		return u.writeURI(v.Text())
	case resourceSeverity:
		if v.Integer() < 0 || v.Integer() > 2 {
			return fmt.Errorf("severity %d: %w", v.Integer(), client.ErrBadRequest)
		}
		next.Severity = v.Integer()
	case resourceMaxDefer:
		next.MaxDefer = v.Unsigned()
	case resourceAutomatic:
		next.Automatic = v.Boolean()
	}
	return u.keep(next)
}

// Execute implements client.Executor.
func (u *Update) Execute(p lwm2m.Path, _ string) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if p.Resource() == resourceCancel {
		return u.cancel()
	}
	return u.apply()
}
