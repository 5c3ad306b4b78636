package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/edgehold/edgehold/sdf"
	"github.com/edgehold/edgehold/sdf/mqtt"
)

// deviceModel is what a device can do, as its SDF document says.
type deviceModel struct {
	device   string
	document map[string]any
	objects  []deviceObject // by number, those without one by name
}

// deviceObject is one of a device's objects.
type deviceObject struct {
	Name        string
	Number      int // of LwM2M; -1 if the model tells none
	Version     string
	Labels      []uint16
	Definition  *sdf.Object
	Affordances []affordance // in the same order
}

// affordance is a property, an action or an event.
type affordance struct {
	Kind   mqtt.Affordance
	Name   string
	Number int
	// Property and Data are of a property; Data is what an action takes too, and what an event tells; nil if it is nothing.
	Property *sdf.Property
	Data     *sdf.Data
	Common   *sdf.Common
}

// model asks for a device's SDF document.
func (f *fleet) model(ctx context.Context, device string) (*deviceModel, error) {
	response, err := f.client.Do(ctx, mqtt.Request{Topic: mqtt.Topic{Thing: device}, Operation: mqtt.Get})
	if err != nil {
		return nil, err
	}
	tree, ok := response.Model.(map[string]any)
	if !ok {
		return nil, failDevice(exitFailed, "read the model of "+device, "device.no-model", "the gateway answered without one", "see that the gateway is of this version")
	}
	m, err := sdf.NewDocument(tree).Model()
	if err != nil {
		return nil, err
	}
	model := &deviceModel{device: device, document: tree}
	for _, thing := range m.Things {
		model.add(&thing.Groups)
	}
	model.add(&m.Groups)
	slices.SortFunc(model.objects, func(a, b deviceObject) int { return order(a.Number, b.Number, a.Name, b.Name) })
	return model, nil
}

func order(a, b int, aName, bName string) int {
	return cmp.Or(cmp.Compare(uint(a), uint(b)), cmp.Compare(aName, bName)) // -1 comes last
}

func (m *deviceModel) add(groups *sdf.Groups) {
	for name, definition := range groups.Objects {
		o := deviceObject{Name: name, Number: number16(definition.Extra["oma:id"]), Definition: definition, Affordances: affordancesOf(&definition.Affordances)}
		o.Version, _ = definition.Extra["oma:version"].(string)
		instances, _ := definition.Extra["oma:instances"].([]any)
		for _, instance := range instances {
			o.Labels = append(o.Labels, uint16(number16(instance)))
		}
		m.objects = append(m.objects, o)
	}
}

func number16(value any) int {
	if n, ok := value.(int64); ok && n >= 0 && n < 1<<16 {
		return int(n)
	}
	return -1
}

func affordancesOf(group *sdf.Affordances) (all []affordance) {
	for name, p := range group.Properties {
		all = append(all, affordance{mqtt.Property, name, number16(p.Extra["oma:id"]), p, &p.Data, &p.Common})
	}
	for name, action := range group.Actions {
		all = append(all, affordance{mqtt.Action, name, number16(action.Extra["oma:id"]), nil, action.Input, &action.Common})
	}
	for name, event := range group.Events {
		all = append(all, affordance{mqtt.Event, name, number16(event.Extra["oma:id"]), nil, event.Output, &event.Common})
	}
	slices.SortFunc(all, func(a, b affordance) int { return order(a.Number, b.Number, a.Name, b.Name) })
	return all
}

// access is "R", "RW", "E" ..., as LwM2M has it; N is an event, which is notified.
func (x *affordance) access() string {
	switch {
	case x.Kind == mqtt.Action:
		return "E"
	case x.Kind == mqtt.Event:
		return "N"
	}
	access := ""
	if x.Property.IsReadable() {
		access += "R"
	}
	if x.Property.IsWritable() {
		access += "W"
	}
	return access
}

// find returns an object by name or number.
func (m *deviceModel) find(name string) (*deviceObject, error) {
	for i := range m.objects {
		if o := &m.objects[i]; isNamed(name, o.Name, o.Number) {
			return o, nil
		}
	}
	names := make([]string, len(m.objects))
	for i := range m.objects {
		names[i] = m.objects[i].Name
	}
	return nil, failDevice(exitNotFound, fmt.Sprintf("find %s on %s", name, m.device), "device.no-object", "the device has no such object"+similar(name, names),
		"run edgehold device describe "+m.device)
}

func isNamed(text, name string, number int) bool {
	return strings.EqualFold(text, name) || number >= 0 && text == strconv.Itoa(number)
}

// find returns an affordance of the kinds that do, by name or number; one that the model does not know by its number alone.
func (o *deviceObject) find(device, name string, kinds ...mqtt.Affordance) (*affordance, error) {
	var names []string
	for i := range o.Affordances {
		x := &o.Affordances[i]
		if !slices.Contains(kinds, x.Kind) {
			continue
		}
		if isNamed(name, x.Name, x.Number) {
			return x, nil
		}
		names = append(names, x.Name)
	}
	if n, err := strconv.ParseUint(name, 10, 16); err == nil { // of the device's maker, perhaps: the device knows
		return &affordance{Kind: kinds[0], Name: name, Number: int(n), Property: &sdf.Property{}, Common: &sdf.Common{}}, nil
	}
	return nil, failDevice(exitNotFound, fmt.Sprintf("find %s of %s", name, o.Name), "device.no-affordance",
		fmt.Sprintf("%s has no %s of that name or number", o.Name, strings.ToLower(kinds[0].String()))+similar(name, names), fmt.Sprintf("run edgehold device describe %s %s", device, o.Name))
}

// similar suggests names that begin alike or hold the text.
func similar(name string, names []string) string {
	var close []string
	lower := strings.ToLower(name)
	for _, candidate := range names {
		if c := strings.ToLower(candidate); strings.Contains(c, lower) || strings.HasPrefix(c, lower[:min(3, len(lower))]) {
			close = append(close, candidate)
		}
	}
	if len(close) == 0 || len(close) > 4 {
		return ""
	}
	return "; did you mean " + strings.Join(close, " or ") + "?"
}

// target is what a path of a person leads to.
type target struct {
	mqtt.Topic
	object     *deviceObject
	affordance *affordance // nil for an object or an instance
}

// target reads "Temperature/0/Sensor_Value", "/3303/0/5700", "3/0/Property/Error_Code/1" and shorter forms.
func (m *deviceModel) target(path string, kinds ...mqtt.Affordance) (*target, error) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	if len(parts) >= 4 && slices.Contains([]string{"Property", "Action", "Event"}, parts[2]) {
		parts = slices.Delete(parts, 2, 3)
	}
	if len(parts) > 4 || parts[0] == "" {
		return nil, badPath(path)
	}
	object, err := m.find(parts[0])
	if err != nil {
		return nil, err
	}
	t := &target{object: object, Topic: mqtt.Topic{Thing: m.device, Object: object.Name}}
	if len(parts) > 1 {
		if t.Label, err = labelOf(parts[1]); err != nil {
			return nil, badPath(path)
		}
	}
	if len(parts) > 2 {
		if len(kinds) == 0 {
			return nil, badPath(path)
		}
		if t.affordance, err = object.find(m.device, parts[2], kinds...); err != nil {
			return nil, err
		}
		t.Affordance, t.Name = t.affordance.Kind, t.affordance.Name
	}
	if len(parts) > 3 {
		if t.Element, err = labelOf(parts[3]); err != nil {
			return nil, badPath(path)
		}
	}
	return t, nil
}

func labelOf(text string) (mqtt.Label, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	return mqtt.At(uint16(n)), err
}

func badPath(path string) error {
	return failDevice(exitUsage, "read the path "+strconv.Quote(path), "cli.usage", "it is no object, instance and property",
		"write OBJECT/INSTANCE/PROPERTY, as in Temperature/0/Sensor_Value or /3303/0/5700")
}

// path is a target as a person writes it.
func pathOf(t mqtt.Topic) string {
	path := t.Object
	if n, ok := t.Label.Number(); ok {
		path += "/" + strconv.Itoa(int(n))
	}
	if t.Name != "" {
		path += "/" + t.Name
	}
	if n, ok := t.Element.Number(); ok {
		path += "/" + strconv.Itoa(int(n))
	}
	return path
}
