package sensor

import (
	"math"
	"sync"
	"time"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/client"
)

// Objects of sensors.
const (
	Temperature = 3303
	Humidity    = 3304
)

// Resources of both.
const (
	resTimestamp   = 5518
	resMinMeasured = 5601
	resMaxMeasured = 5602
	resMinRange    = 5603
	resMaxRange    = 5604
	resReset       = 5605
	resValue       = 5700
	resUnits       = 5701
	resApplication = 5750
)

// Source is one sensor.
type Source interface {
	Read() (float64, error) // in the unit of the object: Cel, %RH
}

// Sensor is a source with what is known of it.
type Sensor struct {
	Source      Source
	Application string // what it is: "hwmon k10temp temp1", "simulated"
	Min, Max    float64
}

// Object is object 3303 or 3304. It looks at a sensor when it is asked, and from time to time (see Sample).
type Object struct {
	definition client.Definition
	unit       string

	mu       sync.Mutex
	sensors  []state
	announce func(lwm2m.Path)
	store    client.Store // nil: nothing is kept
}

type state struct {
	Sensor
	value, least, most float64
	at                 time.Time // of value; zero: never
	written            *string   // Application Type, if a server has said it
}

func definition(id uint16) client.Definition {
	number := func(id uint16, name string) client.Resource {
		return client.Resource{ID: id, Name: name, Kind: lwm2m.KindFloat, Operations: client.Readable}
	}
	value := number(resValue, "Sensor Value")
	value.Mandatory = true
	return client.Definition{ID: id, Version: lwm2m.V1_1, Multiple: true, Resources: []client.Resource{
		{ID: resTimestamp, Name: "Timestamp", Kind: lwm2m.KindTime, Operations: client.Readable},
		number(resMinMeasured, "Min Measured Value"), number(resMaxMeasured, "Max Measured Value"),
		number(resMinRange, "Min Range Value"), number(resMaxRange, "Max Range Value"),
		{ID: resReset, Name: "Reset Min and Max Measured Values", Operations: client.Executable},
		value,
		{ID: resUnits, Name: "Sensor Units", Kind: lwm2m.KindString, Operations: client.Readable},
		{ID: resApplication, Name: "Application Type", Kind: lwm2m.KindString, Operations: client.ReadWrite},
	}}
}

// NewObject makes an object with an instance for each sensor.
func NewObject(id uint16, sensors ...Sensor) *Object {
	o := &Object{definition: definition(id), unit: map[uint16]string{Temperature: "Cel", Humidity: "%RH"}[id]}
	for _, s := range sensors {
		o.sensors = append(o.sensors, state{Sensor: s, value: math.NaN(), least: math.NaN(), most: math.NaN()})
	}
	return o
}

// Definition describes the object.
func (o *Object) Definition() *client.Definition { return &o.definition }

// Instances appends the ids of the sensors.
func (o *Object) Instances(dst []uint16) []uint16 {
	for i := range o.sensors {
		dst = append(dst, uint16(i))
	}
	return dst
}

// Announce is how the engine wants to hear of changes.
func (o *Object) Announce(changed func(lwm2m.Path)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.announce = changed
}

// Sample looks at every sensor, and tells of the values that have changed.
func (o *Object) Sample(now time.Time) {
	var changed []lwm2m.Path
	o.mu.Lock()
	for i := range o.sensors {
		s := &o.sensors[i]
		v, err := s.Source.Read()
		if err != nil || math.IsNaN(v) {
			continue
		}
		if s.at.IsZero() || v != s.value {
			changed = append(changed, lwm2m.PathOf(o.definition.ID, uint16(i), resValue))
		}
		s.value, s.at = v, now
		if s.least = math.Min(s.least, v); math.IsNaN(s.least) {
			s.least = v
		}
		if s.most = math.Max(s.most, v); math.IsNaN(s.most) {
			s.most = v
		}
	}
	announce := o.announce
	o.mu.Unlock()
	for _, p := range changed {
		if announce != nil {
			announce(p)
		}
	}
}

// Read appends the value of a resource, as it was at the last sample.
func (o *Object) Read(dst lwm2m.Tree, p lwm2m.Path) (lwm2m.Tree, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if int(p.Instance()) >= len(o.sensors) {
		return dst, client.ErrNotFound
	}
	s := &o.sensors[p.Instance()]
	v := s.resource(p.Resource())
	switch p.Resource() {
	case resUnits:
		v = lwm2m.String(o.unit)
	case resValue:
		if v.IsNone() {
			return dst, client.ErrUnavailable
		}
	}
	if v.IsNone() {
		return dst, nil
	}
	return append(dst, lwm2m.Record{Path: p, Value: v}), nil
}

func (s *state) resource(id uint16) lwm2m.Value {
	switch id {
	case resTimestamp:
		if s.at.IsZero() {
			return lwm2m.Value{}
		}
		return lwm2m.Time(s.at)
	case resMinMeasured:
		return float(s.least)
	case resMaxMeasured:
		return float(s.most)
	case resMinRange:
		return float(s.Min)
	case resMaxRange:
		return float(s.Max)
	case resValue:
		return float(s.value)
	case resApplication:
		return lwm2m.String(s.application())
	}
	return lwm2m.Value{}
}

func (s *state) application() string {
	if s.written != nil {
		return *s.written
	}
	return s.Application
}

func float(f float64) lwm2m.Value {
	if math.IsNaN(f) {
		return lwm2m.Value{}
	}
	return lwm2m.Float(f)
}

// maxApplication bounds what a server calls a sensor, in bytes.
const maxApplication = 64

// Write changes Application Type for good: what a sensor is used for is its servers' to say. All of it is taken or nothing.
func (o *Object) Write(_ lwm2m.Path, t lwm2m.Tree, _ client.WriteMode) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	before := make([]*string, len(o.sensors))
	for i := range o.sensors {
		before[i] = o.sensors[i].written
	}
	err := o.write(t)
	if err == nil {
		err = o.keep()
	}
	if err != nil {
		for i := range o.sensors {
			o.sensors[i].written = before[i]
		}
	}
	return err
}

func (o *Object) write(t lwm2m.Tree) error {
	for _, r := range t {
		if r.Value.IsNone() {
			continue
		}
		text := r.Value.Text()
		switch {
		case r.Path.Resource() != resApplication || int(r.Path.Instance()) >= len(o.sensors):
			return client.ErrNotAllowed
		case len(text) > maxApplication:
			return client.ErrTooLarge
		}
		o.sensors[r.Path.Instance()].written = &text
	}
	return nil
}

// Execute forgets the extremes.
func (o *Object) Execute(p lwm2m.Path, _ string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if p.Resource() != resReset || int(p.Instance()) >= len(o.sensors) {
		return client.ErrNotAllowed
	}
	s := &o.sensors[p.Instance()]
	s.least, s.most = s.value, s.value
	return nil
}

// Property returns a sensor's value for a workload: what a server would read.
func (o *Object) Property(p lwm2m.Path) (lwm2m.Value, bool) {
	if p.Object() != o.definition.ID || p.Depth() != 3 {
		return lwm2m.Value{}, false
	}
	t, err := o.Read(nil, p)
	if err != nil || len(t) == 0 {
		return lwm2m.Value{}, false
	}
	return t[0].Value, true
}
