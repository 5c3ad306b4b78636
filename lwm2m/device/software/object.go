package software

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/client"
)

// Object 9 and its resources that this device has (LWM2M Software Management 1.0).
const (
	objectID = 9

	resName       = 0
	resVersion    = 1
	resPackage    = 2
	resURI        = 3
	resInstall    = 4
	resUninstall  = 6
	resState      = 7
	resObjects    = 8
	resResult     = 9
	resActivate   = 10
	resDeactivate = 11
	resActivation = 12
	resReason     = 16
)

var definition = client.Definition{ID: objectID, Version: lwm2m.Version{Major: 1, Minor: 0}, Multiple: true, Resources: []client.Resource{
	{ID: resName, Name: "PkgName", Kind: lwm2m.KindString, Operations: client.Readable, Mandatory: true},
	{ID: resVersion, Name: "PkgVersion", Kind: lwm2m.KindString, Operations: client.Readable, Mandatory: true},
	{ID: resPackage, Name: "Package", Kind: lwm2m.KindOpaque, Operations: client.Writable},
	{ID: resURI, Name: "Package URI", Kind: lwm2m.KindString, Operations: client.Writable},
	{ID: resInstall, Name: "Install", Operations: client.Executable, Mandatory: true},
	{ID: resUninstall, Name: "Uninstall", Operations: client.Executable, Mandatory: true},
	{ID: resState, Name: "Update State", Kind: lwm2m.KindInteger, Operations: client.Readable, Mandatory: true},
	{ID: resObjects, Name: "Update Supported Objects", Kind: lwm2m.KindBoolean, Operations: client.ReadWrite},
	{ID: resResult, Name: "Update Result", Kind: lwm2m.KindInteger, Operations: client.Readable, Mandatory: true},
	{ID: resActivate, Name: "Activate", Operations: client.Executable, Mandatory: true},
	{ID: resDeactivate, Name: "Deactivate", Operations: client.Executable, Mandatory: true},
	{ID: resActivation, Name: "Activation State", Kind: lwm2m.KindBoolean, Operations: client.Readable, Mandatory: true},
	{ID: resReason, Name: "Status Reason", Kind: lwm2m.KindString, Operations: client.Readable},
}}

// Definition describes the object.
func (m *Manager) Definition() *client.Definition { return &definition }

// Instances appends the ids of the instances.
func (m *Manager) Instances(dst []uint16) []uint16 {
	m.mu.Lock()
	defer m.mu.Unlock()
	start := len(dst)
	for id := range m.records {
		dst = append(dst, id)
	}
	slices.Sort(dst[start:])
	return dst
}

// Read appends the value of a resource.
func (m *Manager) Read(dst lwm2m.Tree, p lwm2m.Path) (lwm2m.Tree, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.records[p.Instance()]
	if r == nil {
		return dst, client.ErrNotFound
	}
	if v := r.value(p.Resource()); !v.IsNone() {
		dst = append(dst, lwm2m.Record{Path: p, Value: v})
	}
	return dst, nil
}

func (r *record) value(resource uint16) lwm2m.Value {
	switch resource {
	case resName:
		return lwm2m.String(r.Name)
	case resVersion:
		return lwm2m.String(r.Version)
	case resState:
		return lwm2m.Integer(int64(r.State))
	case resResult:
		return lwm2m.Integer(int64(r.Result))
	case resObjects:
		return lwm2m.Boolean(r.Objects)
	case resActivation:
		return lwm2m.Boolean(r.Active)
	case resReason:
		return lwm2m.String(r.Reason)
	}
	return lwm2m.Value{}
}

// Create makes an instance without a package.
func (m *Manager) Create(p lwm2m.Path, values lwm2m.Tree) error {
	m.mu.Lock()
	if len(m.records) >= MaxInstances {
		m.mu.Unlock()
		return fmt.Errorf("package %d: this device takes %d: %w", p.Instance(), MaxInstances, client.ErrUnavailable)
	}
	err := m.keep(p.Instance(), record{})
	m.mu.Unlock()
	if err != nil || len(values) == 0 {
		return err
	}
	return m.Write(p, values, client.Update)
}

// Delete removes an instance, and its workload with it.
func (m *Manager) Delete(p lwm2m.Path) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	id := p.Instance()
	if m.records[id] == nil {
		return client.ErrNotFound
	}
	m.stop(id)
	if err := m.disk.dropRecord(id); err != nil {
		return fmt.Errorf("remove package %d: %w: %w", id, err, client.ErrUnavailable)
	}
	delete(m.records, id)
	delete(m.heads, id)
	m.tidy()
	m.Changed(id)
	return nil
}

// Write changes what a server may set: Package URI, Update Supported Objects, and a Package that came in one piece.
func (m *Manager) Write(_ lwm2m.Path, values lwm2m.Tree, _ client.WriteMode) error {
	for _, v := range values {
		if v.Value.IsNone() {
			continue
		}
		if err := m.set(v.Path, v.Value); err != nil {
			return err
		}
	}
	return nil
}

func (m *Manager) set(p lwm2m.Path, v lwm2m.Value) error {
	if p.Resource() == resPackage {
		return m.WriteBlock(p, client.Block{Data: v.Bytes(), Last: true})
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	id := p.Instance()
	r := m.records[id]
	switch {
	case r == nil:
		return client.ErrNotFound
	case p.Resource() == resObjects:
		next := *r
		next.Objects = v.Boolean()
		return m.keep(id, next)
	case p.Resource() == resURI:
		return m.writeURI(id, r, v.Text())
	}
	return client.ErrNotAllowed
}

// Streams tells that packages come block by block.
func (m *Manager) Streams(p lwm2m.Path) bool { return p.Resource() == resPackage }

// callTime is what the start, the check or the end of a workload may take.
const callTime = 20 * time.Second

// Execute runs Install, Uninstall, Activate or Deactivate.
func (m *Manager) Execute(p lwm2m.Path, args string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	id := p.Instance()
	r := m.records[id]
	if r == nil {
		return client.ErrNotFound
	}
	ctx, cancel := context.WithTimeout(context.Background(), callTime)
	defer cancel()
	switch p.Resource() {
	case resInstall:
		return m.install(ctx, id, *r)
	case resUninstall:
		return m.uninstall(id, *r, args)
	case resActivate:
		return m.activate(ctx, id, *r)
	case resDeactivate:
		return m.deactivate(id, *r)
	}
	return client.ErrNotAllowed
}
