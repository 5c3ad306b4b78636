package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/edgehold/edgehold/cmd/internal/cli"
	"github.com/edgehold/edgehold/sdf/mqtt"
)

// Data Route, the object of D3.3, section 6.3.1.3.
const (
	objectRoute      = 35001
	routeOrigin      = 27200
	routeDestination = 27201
)

// route takes data from one place to another on a device.
type route struct {
	Label       uint16 `json:"label"`
	Origin      string `json:"origin"`
	Destination string `json:"destination"`
}

var routeTable = cli.Table[route]{
	Name: func(r route) string { return strconv.Itoa(int(r.Label)) },
	Columns: []cli.Column[route]{
		{Title: "ROUTE", Right: true, Text: func(r route) string { return strconv.Itoa(int(r.Label)) }},
		{Title: "ORIGIN", Text: func(r route) string { return r.Origin }},
		{Title: "DESTINATION", Text: func(r route) string { return r.Destination }},
	},
}

func (d *devices) routes() *cobra.Command {
	c := &cobra.Command{
		Use: "routes DEVICE [list | add ORIGIN DESTINATION | remove ROUTE]", Short: "Look at a device's data routes, add and remove them", Aliases: []string{"route"},
		Args: args(1, 4, "the device's name"),
		Long: "A route takes what comes from its origin to its destination: local://WORKLOAD/KEY is an output or an input of a workload, coap://NAME a resource that the device serves,\n" +
			"coap://HOST:PORT/PATH another one's, mqtt://HOST:PORT/TOPIC a topic.",
		Example: "  edgehold device routes sensor-1\n  edgehold device routes sensor-1 add local://1/temp_avg coap://192.0.2.7:5683/endpoint1\n  edgehold device routes sensor-1 remove 0",
		ValidArgsFunction: func(c *cobra.Command, given []string, toComplete string) ([]string, cobra.ShellCompDirective) {
			if len(given) == 1 {
				return []string{"list", "add", "remove"}, cobra.ShellCompDirectiveNoFileComp
			}
			return d.deviceNames(c, given, toComplete)
		},
	}
	c.RunE = d.asking(func(ctx context.Context, f *fleet, p *cli.Printer, args []string) error {
		m, err := f.model(ctx, args[0])
		if err != nil {
			return err
		}
		o, err := m.find(strconv.Itoa(objectRoute))
		if err != nil {
			return failDevice(exitNotFound, "find the routes of "+args[0], "device.no-routes", "it has no Data Route (object 35001)", "see what it has: edgehold device describe "+args[0])
		}
		switch words := args[1:]; {
		case len(words) == 0 || len(words) == 1 && words[0] == "list":
			return f.listRoutes(ctx, p, m, o)
		case len(words) == 3 && words[0] == "add":
			return f.addRoute(ctx, p, m, o, words[1], words[2])
		case len(words) == 2 && words[0] == "remove":
			return f.removeRoute(ctx, p, c, m, o, words[1])
		}
		return usage(c, "speak of routes", "it is not list, add ORIGIN DESTINATION or remove ROUTE")
	})
	return c
}

func (f *fleet) listRoutes(ctx context.Context, p *cli.Printer, m *deviceModel, o *deviceObject) error {
	instances, err := f.instances(ctx, m, o)
	if err != nil {
		return err
	}
	all := make([]route, 0, len(instances))
	for _, in := range instances {
		all = append(all, route{in.Label, o.text(in, routeOrigin), o.text(in, routeDestination)})
	}
	return cli.List(p, routeTable, all, map[string]any{"items": all})
}

// instances reads all instances of an object. A device that has the object and no instance says that there is nothing.
func (f *fleet) instances(ctx context.Context, m *deviceModel, o *deviceObject) ([]mqtt.Instance, error) {
	response, err := f.client.Do(ctx, mqtt.Request{Topic: mqtt.Topic{Thing: m.device, Object: o.Name}, Operation: mqtt.Get})
	if response != nil && response.Code == mqtt.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return response.Objects[o.Name], nil
}

// value is that of the property with a number.
func (o *deviceObject) value(in mqtt.Instance, number int) (any, *affordance) {
	for i := range o.Affordances {
		if x := &o.Affordances[i]; x.Kind == mqtt.Property && x.Number == number {
			return in.Properties[x.Name], x
		}
	}
	return nil, nil
}

// text is the same for people.
func (o *deviceObject) text(in mqtt.Instance, number int) string {
	value, x := o.value(in, number)
	if x == nil {
		return ""
	}
	return showValue(x.Data, value)
}

// name is that of the affordance with a number.
func (o *deviceObject) name(kind mqtt.Affordance, number int) string {
	for i := range o.Affordances {
		if x := &o.Affordances[i]; x.Kind == kind && x.Number == number {
			return x.Name
		}
	}
	return strconv.Itoa(number)
}

func (f *fleet) addRoute(ctx context.Context, p *cli.Printer, m *deviceModel, o *deviceObject, origin, destination string) error {
	taken, err := f.instances(ctx, m, o)
	if err != nil {
		return err
	}
	label, err := f.create(ctx, mqtt.Topic{Thing: m.device, Object: o.Name, Label: mqtt.At(firstFree(taken))}, map[string]any{
		o.name(mqtt.Property, routeOrigin): origin, o.name(mqtt.Property, routeDestination): destination,
	})
	if err != nil {
		return err
	}
	n, _ := label.Number()
	made := route{n, origin, destination}
	return p.Object(made, strconv.Itoa(int(n)), func(d *cli.Details) { d.Text("route %d takes %s to %s", n, origin, destination) })
}

// firstFree is the lowest number that no instance has.
func firstFree(taken []mqtt.Instance) (label uint16) {
	used := map[uint16]bool{}
	for _, in := range taken {
		used[in.Label] = true
	}
	for used[label] {
		label++
	}
	return label
}

func (f *fleet) removeRoute(ctx context.Context, p *cli.Printer, c *cobra.Command, m *deviceModel, o *deviceObject, text string) error {
	label, err := labelOf(text)
	if err != nil {
		return usage(c, "remove a route", fmt.Sprintf("%q is not the number of one", text))
	}
	if _, err := f.client.Do(ctx, mqtt.Request{Topic: mqtt.Topic{Thing: m.device, Object: o.Name, Label: label}, Operation: mqtt.Delete}); err != nil {
		return err
	}
	return p.Object(map[string]any{"removed": text}, text, func(d *cli.Details) { d.Text("route %s is removed", text) })
}
