package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/cmd/internal/cli"
	"github.com/edgehold/edgehold/sdf/mqtt"
)

// described is what JSON and YAML show of a device.
type described struct {
	Device *mqtt.Announcement `json:"device"`
	Model  map[string]any     `json:"sdfModel"`
}

var affordanceTable = cli.Table[affordance]{
	Name: func(x affordance) string { return x.Name },
	Columns: []cli.Column[affordance]{
		{Title: "NAME", Text: func(x affordance) string { return x.Name }},
		{Title: "NUMBER", Right: true, Text: func(x affordance) string { return idText(x.Number) }},
		{Title: "ACCESS", Text: func(x affordance) string { return x.access() }},
		{Title: "TYPE", Text: func(x affordance) string { return typeOf(x.Data) }},
		{Title: "UNIT", Text: func(x affordance) string { return unitOf(x.Data) }},
		{Title: "VALUES", Text: func(x affordance) string { return valuesOf(x.Data) }},
	},
}

func idText(n int) string {
	if n < 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func (d *devices) describe() *cobra.Command {
	c := &cobra.Command{
		Use: "describe DEVICE [OBJECT[/PROPERTY]]", Short: "Show what a device has, and what it means", Aliases: []string{"get"}, Args: args(1, 2, "the device's name"),
		Long:              "Made of the device's model in SDF (RFC 9880), which -o json and -o yaml print whole. With an object, its properties and actions are explained; with one of those, that one.",
		Example:           "  edgehold device describe sensor-1\n  edgehold device describe sensor-1 Temperature\n  edgehold device describe sensor-1 9/Update_State\n  edgehold device describe sensor-1 -o json",
		ValidArgsFunction: d.objectNames,
	}
	c.RunE = d.asking(func(ctx context.Context, f *fleet, p *cli.Printer, args []string) error {
		a, err := f.announcement(ctx, args[0])
		if err != nil {
			return err
		}
		m, err := f.model(ctx, args[0])
		if err != nil {
			return err
		}
		if len(args) == 1 {
			return p.Object(described{a, m.document}, a.Thing, func(out *cli.Details) { describeDevice(out, a, m) })
		}
		return m.explain(p, args[1])
	})
	return c
}

// objectNames completes a device, and then an object.
func (d *devices) objectNames(c *cobra.Command, given []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	if len(given) != 1 {
		return d.deviceNames(c, given, toComplete)
	}
	return d.offer(func(ctx context.Context, f *fleet) ([]string, error) {
		m, err := f.model(ctx, given[0])
		if err != nil {
			return nil, err
		}
		return namesOf(m.objects, nil)(func(o deviceObject) string { return o.Name })
	}), cobra.ShellCompDirectiveNoFileComp
}

func describeDevice(d *cli.Details, a *mqtt.Announcement, m *deviceModel) {
	d.Field("Name", a.Thing)
	d.Field("Protocol", a.Protocol)
	d.Field("Registered", timestamp(a.Time))
	d.Field("Lifetime", seconds(a.Lifetime))
	if a.Sleeps {
		d.Field("Sleeps", "yes: it answers when it wakes")
	}
	if a.MemoryKiB.Total > 0 {
		d.Fieldf("Memory", "%s, %s free", api.FormatBytes(a.MemoryKiB.Total<<10), api.FormatBytes(a.MemoryKiB.Free<<10))
	}
	d.Field("Labels", pairs(a.Labels))
	for i := range m.objects {
		o := &m.objects[i]
		d.Heading(o.title())
		cli.Rows(d, affordanceTable, o.Affordances)
	}
}

// title is "Temperature (3303 1.1), instances 0, 1".
func (o *deviceObject) title() string {
	title := o.Name
	if o.Number >= 0 {
		title += " (" + strings.TrimSpace(strconv.Itoa(o.Number)+" "+o.Version) + ")"
	}
	labels := make([]string, len(o.Labels))
	for i, n := range o.Labels {
		labels[i] = strconv.Itoa(int(n))
	}
	switch len(labels) {
	case 0:
		return title + ", no instance"
	case 1:
		return title + ", instance " + labels[0]
	}
	return title + ", instances " + list(labels)
}

// explain shows one object, or one affordance of it, with what its authors say.
func (m *deviceModel) explain(p *cli.Printer, path string) error {
	name, member, found := strings.Cut(strings.Trim(path, "/"), "/")
	o, err := m.find(name)
	if err != nil {
		return err
	}
	if parts := strings.Split(member, "/"); found && len(parts) > 1 { // an instance between makes no difference
		member = parts[len(parts)-1]
	}
	if !found {
		return p.Object(o.Definition.Tree(), o.Name, func(d *cli.Details) { describeObject(d, o) })
	}
	x, err := o.find(m.device, member, mqtt.Property, mqtt.Action, mqtt.Event)
	if err != nil {
		return err
	}
	group, _ := o.Definition.Tree()["sdf"+x.Kind.String()].(map[string]any)
	return p.Object(group[x.Name], x.Name, func(d *cli.Details) { describeAffordance(d, o, x) })
}

func describeObject(d *cli.Details, o *deviceObject) {
	d.Text("%s", o.title())
	lines(d, o.Definition.Description)
	for i := range o.Affordances {
		x := &o.Affordances[i]
		d.Heading(fmt.Sprintf("%s %s", x.Name, x.access()))
		describeQualities(d, x)
		lines(d, x.Common.Description)
	}
}

func describeAffordance(d *cli.Details, o *deviceObject, x *affordance) {
	d.Field("Name", x.Name)
	d.Field("Object", o.Name)
	d.Field("Number", idText(x.Number))
	d.Field("Access", x.access())
	d.Field("Type", typeOf(x.Data))
	d.Field("Unit", unitOf(x.Data))
	d.Field("Values", valuesOf(x.Data))
	if x.Common.Description != "" {
		d.Heading("Description")
		lines(d, x.Common.Description)
	}
}

// describeQualities says type, unit and values in one line.
func describeQualities(d *cli.Details, x *affordance) {
	var parts []string
	for _, part := range []string{typeOf(x.Data), unitOf(x.Data), valuesOf(x.Data)} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	if len(parts) > 0 {
		d.Line("%s", strings.Join(parts, "; "))
	}
}

func lines(d *cli.Details, text string) {
	for line := range strings.Lines(strings.TrimSpace(text)) {
		d.Line("%s", strings.TrimRight(line, "\r\n"))
	}
}
