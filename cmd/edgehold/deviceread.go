package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/edgehold/edgehold/cmd/internal/cli"
	"github.com/edgehold/edgehold/sdf"
	"github.com/edgehold/edgehold/sdf/mqtt"
)

// reading is the value of one property.
type reading struct {
	topic mqtt.Topic
	// of says what the property is; nil if the model does not know it.
	of    *affordance
	value any
	// told is the unit that the instance itself tells, where the model has none.
	told string
}

func (r reading) data() *sdf.Data {
	if r.of == nil {
		return nil
	}
	if r.topic.Element != 0 {
		return itemsOf(r.of.Data)
	}
	return r.of.Data
}

func (r reading) unit() string {
	if r.of == nil {
		return r.told
	}
	return cmp.Or(unitOf(r.of.Data), r.told)
}

// IPSO's sensors tell their unit in a property of its own (OMA's reusable resources).
const sensorUnits = 5701

// sensorValues are those that are in that unit: the value, what was measured least and most, and the range.
var sensorValues = []int{5700, 5601, 5602, 5603, 5604}

var readingTable = cli.Table[reading]{
	Name: func(r reading) string { return pathOf(r.topic) },
	Columns: []cli.Column[reading]{
		{Title: "PROPERTY", Text: func(r reading) string { return pathOf(r.topic) }},
		{Title: "VALUE", Text: func(r reading) string { return showValue(r.data(), r.value) }},
		{Title: "UNIT", Text: func(r reading) string { return r.unit() }},
		{Title: "TYPE", Wide: true, Text: func(r reading) string { return typeOf(r.data()) }},
		{Title: "MEANS", Wide: true, Text: meaning},
	},
}

// meaning is the first line of what a property's authors say.
func meaning(r reading) string {
	if r.of == nil {
		return ""
	}
	line, _, _ := strings.Cut(strings.TrimSpace(r.of.Common.Description), "\n")
	return line
}

func isReadable(x *affordance) bool { return x.Kind == mqtt.Property && x.Property.IsReadable() }
func isWritable(x *affordance) bool { return x.Kind == mqtt.Property && x.Property.IsWritable() }
func isAction(x *affordance) bool   { return x.Kind == mqtt.Action }

func (d *devices) read() *cobra.Command {
	c := &cobra.Command{
		Use: "read DEVICE PATH...", Short: "Read properties, instances or objects", Args: args(2, -1, "the device's name and what to read"),
		Long: "Asks the device. A value is shown with the name of its choice and its unit; -o json prints values as SDF has them, a byte string in base64url.\n" +
			"--raw prints the value of one property and nothing else, a byte string as it is.",
		Example:           "  edgehold device read sensor-1 Temperature/0/Sensor_Value\n  edgehold device read sensor-1 /3303/0/5700 --raw\n  edgehold device read sensor-1 Device Temperature",
		ValidArgsFunction: d.paths("", isReadable),
	}
	raw := c.Flags().Bool("raw", false, "print the value alone")
	c.RunE = d.asking(func(ctx context.Context, f *fleet, p *cli.Printer, args []string) error {
		m, err := f.model(ctx, args[0])
		if err != nil {
			return err
		}
		var all []reading
		for _, path := range args[1:] {
			readings, err := f.read(ctx, m, path)
			if err != nil {
				return err
			}
			all = append(all, readings...)
		}
		if *raw {
			return printRaw(c, p, all)
		}
		return cli.List(p, readingTable, all, documentOf(all))
	})
	return c
}

// read asks for what a path names, and lists it by property.
func (f *fleet) read(ctx context.Context, m *deviceModel, path string) ([]reading, error) {
	t, err := m.target(path, mqtt.Property)
	if err != nil {
		return nil, err
	}
	response, err := f.client.Do(ctx, mqtt.Request{Topic: t.Topic, Operation: mqtt.Get})
	if err != nil {
		return nil, err
	}
	return m.readings(t.Topic, response.Objects), nil
}

// readings lists properties in the order of the model.
func (m *deviceModel) readings(asked mqtt.Topic, objects mqtt.Objects) (all []reading) {
	for _, name := range slices.Sorted(maps.Keys(objects)) {
		o, err := m.find(name)
		for _, instance := range objects[name] {
			at := mqtt.Topic{Thing: m.device, Object: name, Label: mqtt.At(instance.Label), Affordance: mqtt.Property}
			known := map[string]bool{}
			if err == nil {
				for i := range o.Affordances {
					x := &o.Affordances[i]
					if value, has := instance.Properties[x.Name]; has && x.Kind == mqtt.Property {
						known[x.Name] = true
						all = append(all, one(at, asked, x, x.Name, value))
						if slices.Contains(sensorValues, x.Number) {
							all[len(all)-1].told = o.text(instance, sensorUnits)
						}
					}
				}
			}
			for _, property := range slices.Sorted(maps.Keys(instance.Properties)) {
				if !known[property] {
					all = append(all, one(at, asked, nil, property, instance.Properties[property]))
				}
			}
		}
	}
	return all
}

// one is a reading; of an element, if that was asked for.
func one(at, asked mqtt.Topic, x *affordance, name string, value any) reading {
	at.Name = name
	if asked.Name == name {
		at.Element = asked.Element
	}
	return reading{topic: at, of: x, value: value}
}

func printRaw(c *cobra.Command, p *cli.Printer, all []reading) error {
	if len(all) != 1 {
		return usage(c, "print the value alone", fmt.Sprintf("there are %d", len(all)))
	}
	switch v := all[0].value.(type) {
	case []byte:
		_, err := p.Out.Write(v)
		return err
	case string:
		_, err := fmt.Fprintln(p.Out, v)
		return err
	}
	text, err := sdf.EncodeJSON(all[0].value)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.Out, "%s\n", text)
	return err
}

// documentOf is what JSON and YAML show: D3.3's shape.
func documentOf(all []reading) any {
	objects := map[string]any{}
	labels := map[string]map[uint16]map[string]any{}
	for _, r := range all {
		n, _ := r.topic.Label.Number()
		instances := labels[r.topic.Object]
		if instances == nil {
			instances = map[uint16]map[string]any{}
			labels[r.topic.Object] = instances
		}
		if instances[n] == nil {
			instances[n] = map[string]any{}
		}
		instances[n][r.topic.Name] = plain(r.value)
	}
	for name, instances := range labels {
		items := []any{}
		for _, n := range slices.Sorted(maps.Keys(instances)) {
			items = append(items, map[string]any{"label": n, "sdfProperty": instances[n]})
		}
		objects[name] = items
	}
	return map[string]any{"sdfObject": objects}
}

// plain is a value in the JSON of SDF: encoding/json would write byte strings in another base64.
func plain(value any) any {
	text, err := sdf.EncodeJSON(value)
	if err != nil {
		return nil
	}
	return rawJSON(text)
}

// rawJSON is JSON as it is.
type rawJSON []byte

// MarshalJSON returns r.
func (r rawJSON) MarshalJSON() ([]byte, error) { return r, nil }
