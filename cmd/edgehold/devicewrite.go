package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/edgehold/edgehold/cmd/internal/cli"
	"github.com/edgehold/edgehold/sdf"
	"github.com/edgehold/edgehold/sdf/mqtt"
)

const valueHelp = "A choice is written by name or value, a time as 2026-11-22T12:00:00Z, a boolean as true or false, an object link as 9:3, the items of an array with commas between\n" +
	"or as JSON, a byte string as text or 0x0102. @FILE is what a file holds."

func (d *devices) write() *cobra.Command {
	c := &cobra.Command{
		Use: "write DEVICE PATH=VALUE...", Short: "Write properties", Args: args(2, -1, "the device's name and PATH=VALUE"),
		Long: "Each value is checked against the model before any is written; then they are written one after the other. An array is written item by item: those that are not named stay,\n" +
			"unless --replace is given. " + valueHelp,
		Example: "  edgehold device write sensor-1 Device/0/Timezone=Europe/Athens\n  edgehold device write sensor-1 /1/0/1=300\n" +
			"  edgehold device write sensor-1 BinaryAppDataContainer/0/Data/0='mlsysops knobs list'",
		ValidArgsFunction: d.paths("=", isWritable),
	}
	replace := c.Flags().Bool("replace", false, "take away the items of an array that are not named")
	c.RunE = d.asking(func(ctx context.Context, f *fleet, p *cli.Printer, args []string) error {
		m, err := f.model(ctx, args[0])
		if err != nil {
			return err
		}
		operation := mqtt.Post
		if *replace {
			operation = mqtt.Put
		}
		requests, err := m.writes(c, args[1:], operation)
		if err != nil {
			return err
		}
		for _, r := range requests {
			if _, err := f.client.Do(ctx, r); err != nil {
				return err
			}
			fmt.Fprintf(d.out, "%s is written\n", pathOf(r.Topic))
		}
		return nil
	})
	return c
}

// writes reads PATH=VALUE arguments.
func (m *deviceModel) writes(c *cobra.Command, words []string, operation mqtt.Operation) (all []mqtt.Request, err error) {
	for _, word := range words {
		path, text, found := strings.Cut(word, "=")
		if !found {
			return nil, usage(c, "read "+word, "it is not PATH=VALUE")
		}
		t, err := m.target(path, mqtt.Property)
		if err != nil {
			return nil, err
		}
		if t.affordance == nil || t.Label == 0 {
			return nil, badPath(path)
		}
		if !t.affordance.Property.IsWritable() {
			return nil, failDevice(exitFailed, "write "+pathOf(t.Topic), "device.read-only", "the property can only be read", "see edgehold device describe "+m.device+" "+t.Object)
		}
		value, err := t.value(text)
		if err != nil {
			return nil, err
		}
		all = append(all, mqtt.Request{Topic: t.Topic, Operation: operation, Data: value})
	}
	return all, nil
}

// value reads what a person typed for a property, or for one of its items.
func (t *target) value(text string) (any, error) {
	q := t.affordance.Data
	if _, item := t.Element.Number(); item {
		q = itemsOf(q)
	}
	value, err := readValue(q, text)
	if own, ok := errors.AsType[*sdf.Error](err); ok && own.Code == sdf.CodeValue {
		hint := "it takes: " + typeOf(q)
		if values := valuesOf(q); values != "" {
			hint += ": " + values
		}
		return nil, failDevice(exitUsage, "use "+text+" for "+pathOf(t.Topic), "device.value", own.Why, hint)
	}
	return value, err
}

func (d *devices) execute() *cobra.Command {
	c := &cobra.Command{
		Use: "execute DEVICE PATH [ARGUMENT...]", Short: "Have a device do something", Aliases: []string{"exec"}, Args: args(2, 12, "the device's name and the action"),
		Long:    "At most ten arguments, which most actions take none of.",
		Example: "  edgehold device execute sensor-1 Device/0/Reboot\n  edgehold device execute sensor-1 /9/0/6 1", ValidArgsFunction: d.paths("", isAction),
	}
	c.RunE = d.asking(func(ctx context.Context, f *fleet, p *cli.Printer, args []string) error {
		m, err := f.model(ctx, args[0])
		if err != nil {
			return err
		}
		t, err := m.target(args[1], mqtt.Action)
		if err != nil {
			return err
		}
		if t.affordance == nil || t.Label == 0 {
			return badPath(args[1])
		}
		r := mqtt.Request{Topic: t.Topic, Operation: mqtt.Post}
		if len(args) > 2 {
			r.Data = texts(args[2:])
		}
		response, err := f.client.Do(ctx, r)
		if err != nil {
			return err
		}
		if response.Data != nil {
			fmt.Fprintln(d.out, cli.Clean(showValue(nil, response.Data)))
			return nil
		}
		fmt.Fprintf(d.out, "%s is done\n", pathOf(t.Topic))
		return nil
	})
	return c
}

func texts(words []string) []any {
	all := make([]any, len(words))
	for i, word := range words {
		all[i] = word
	}
	return all
}

func (d *devices) create() *cobra.Command {
	c := &cobra.Command{
		Use: "create DEVICE OBJECT[/INSTANCE] [PROPERTY=VALUE...]", Short: "Create an instance of an object", Args: args(2, -1, "the device's name and the object"),
		Long:    "Without a number the device chooses one. " + valueHelp,
		Example: "  edgehold device create sensor-1 Data_Route Origin_URI=local://1/temp Destination_URI=coap://192.0.2.7/temp", ValidArgsFunction: d.objectNames,
	}
	c.RunE = d.asking(func(ctx context.Context, f *fleet, p *cli.Printer, args []string) error {
		m, err := f.model(ctx, args[0])
		if err != nil {
			return err
		}
		t, err := m.target(args[1])
		if err != nil {
			return err
		}
		properties, err := t.object.properties(c, m.device, args[2:])
		if err != nil {
			return err
		}
		label, err := f.create(ctx, t.Topic, properties)
		if err != nil {
			return err
		}
		t.Label = label
		return p.Object(map[string]any{"path": pathOf(t.Topic)}, pathOf(t.Topic), func(d *cli.Details) { d.Text("%s is created", pathOf(t.Topic)) })
	})
	return c
}

// properties reads PROPERTY=VALUE arguments.
func (o *deviceObject) properties(c *cobra.Command, device string, words []string) (map[string]any, error) {
	properties := map[string]any{}
	for _, word := range words {
		name, text, found := strings.Cut(word, "=")
		if !found {
			return nil, usage(c, "read "+word, "it is not PROPERTY=VALUE")
		}
		x, err := o.find(device, name, mqtt.Property)
		if err != nil {
			return nil, err
		}
		t := target{mqtt.Topic{Thing: device, Object: o.Name, Affordance: mqtt.Property, Name: x.Name}, o, x}
		if properties[x.Name], err = t.value(text); err != nil {
			return nil, err
		}
	}
	return properties, nil
}

// create makes an instance, and returns its label.
func (f *fleet) create(ctx context.Context, at mqtt.Topic, properties map[string]any) (mqtt.Label, error) {
	data := map[string]any{}
	if n, ok := at.Label.Number(); ok {
		data["label"] = int64(n)
	}
	if len(properties) > 0 {
		data["sdfProperty"] = properties
	}
	response, err := f.client.Do(ctx, mqtt.Request{Topic: mqtt.Topic{Thing: at.Thing, Object: at.Object}, Operation: mqtt.Post, Data: data})
	if err != nil {
		return 0, err
	}
	if n, ok := createdLabel(response.Data); ok {
		return mqtt.At(n), nil
	}
	return at.Label, nil
}

// createdLabel reads a number, or {"label": number}.
func createdLabel(data any) (uint16, bool) {
	if m, ok := data.(map[string]any); ok {
		data = m["label"]
	}
	n := number16(data)
	return uint16(n), n >= 0
}

func (d *devices) deleteInstance() *cobra.Command {
	c := &cobra.Command{
		Use: "delete DEVICE OBJECT/INSTANCE...", Short: "Delete instances of objects", Args: args(2, -1, "the device's name and the instance"),
		Example: "  edgehold device delete sensor-1 Data_Route/0", ValidArgsFunction: d.objectNames,
	}
	c.RunE = d.asking(func(ctx context.Context, f *fleet, _ *cli.Printer, args []string) error {
		m, err := f.model(ctx, args[0])
		if err != nil {
			return err
		}
		for _, path := range args[1:] {
			t, err := m.target(path)
			if err != nil {
				return err
			}
			if t.Label == 0 || t.affordance != nil {
				return badPath(path)
			}
			if _, err := f.client.Do(ctx, mqtt.Request{Topic: t.Topic, Operation: mqtt.Delete}); err != nil {
				return err
			}
			fmt.Fprintf(d.out, "%s is deleted\n", pathOf(t.Topic))
		}
		return nil
	})
	return c
}
