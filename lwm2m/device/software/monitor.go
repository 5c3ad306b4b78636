package software

import (
	"math"
	"sync"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/client"
	"github.com/edgehold/edgehold/lwm2m/device/runner"
)

// Object 35002, Software Package Monitoring, and its resources.
const (
	monitorID = 35002

	resSoftware = 27210
	resCPU      = 27211
	resMemory   = 27212
	resUptime   = 27213
	resError    = 27214
	resDecision = 27215
)

var monitorDefinition = client.Definition{ID: monitorID, Version: lwm2m.Version{Major: 1, Minor: 0}, Multiple: true, Resources: []client.Resource{
	{ID: resSoftware, Name: "Software Package", Kind: lwm2m.KindObjectLink, Operations: client.Readable, Mandatory: true},
	{ID: resCPU, Name: "CPU Usage", Kind: lwm2m.KindFloat, Operations: client.Readable, Mandatory: true, Sampled: true},
	{ID: resMemory, Name: "Memory Usage", Kind: lwm2m.KindInteger, Operations: client.Readable, Mandatory: true, Sampled: true},
	{ID: resUptime, Name: "Uptime", Kind: lwm2m.KindInteger, Operations: client.Readable, Mandatory: true, Sampled: true},
	{ID: resError, Name: "Error", Kind: lwm2m.KindString, Operations: client.Readable, Mandatory: true},
	{ID: resDecision, Name: "Last Decision", Kind: lwm2m.KindString, Operations: client.Readable},
}}

// Meters are the workloads that run, as they are measured.
type Meters interface {
	Running(dst []uint16) []uint16
	Status(id uint16) (runner.Status, bool)
}

// Monitor is object 35002: an instance for each workload that runs, with the id of its instance of object 9.
type Monitor struct {
	meters Meters

	mu       sync.Mutex
	announce func(lwm2m.Path)
}

// NewMonitor makes the object.
func NewMonitor(m Meters) *Monitor { return &Monitor{meters: m} }

// Definition describes the object.
func (m *Monitor) Definition() *client.Definition { return &monitorDefinition }

// Instances appends the ids of the instances.
func (m *Monitor) Instances(dst []uint16) []uint16 { return m.meters.Running(dst) }

// Read appends the value of a resource.
func (m *Monitor) Read(dst lwm2m.Tree, p lwm2m.Path) (lwm2m.Tree, error) {
	s, ok := m.meters.Status(p.Instance())
	if !ok {
		return dst, client.ErrNotFound
	}
	v := measured(&s, p)
	if v.IsNone() {
		return dst, nil
	}
	return append(dst, lwm2m.Record{Path: p, Value: v}), nil
}

func measured(s *runner.Status, p lwm2m.Path) lwm2m.Value {
	switch p.Resource() {
	case resSoftware:
		return lwm2m.ObjectLink(objectID, p.Instance())
	case resCPU:
		return lwm2m.Float(math.Round(s.CPUPercent*1000) / 1000)
	case resMemory:
		return lwm2m.Integer(int64(s.MemoryBytes))
	case resUptime:
		return lwm2m.Integer(s.Uptime.Milliseconds())
	case resError:
		return lwm2m.String(s.Error)
	case resDecision:
		if s.Decision != "" {
			return lwm2m.String(s.Decision)
		}
	}
	return lwm2m.Value{}
}

// Announce is how the engine wants to hear of changes.
func (m *Monitor) Announce(changed func(lwm2m.Path)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.announce = changed
}

// Changed announces a workload.
func (m *Monitor) Changed(id uint16) {
	m.mu.Lock()
	announce := m.announce
	m.mu.Unlock()
	if announce != nil {
		announce(lwm2m.PathOf(monitorID, id))
	}
}
