package main

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/edgehold/edgehold/cmd/internal/cli"
	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/sdf/mqtt"
)

// told is a value, and when it was so.
type told struct {
	reading
	at time.Time
}

var toldTable = cli.Table[told]{
	Name: func(t told) string { return pathOf(t.topic) },
	Columns: []cli.Column[told]{
		{Title: "TIME", Text: func(t told) string { return timestamp(t.at) }},
		{Title: "PROPERTY", Text: func(t told) string { return pathOf(t.topic) }},
		{Title: "VALUE", Text: func(t told) string { return showValue(t.data(), t.value) }},
		{Title: "UNIT", Text: func(t told) string { return t.unit() }},
	},
}

// maxTold bounds notifications that wait for a terminal.
const maxTold = 4096

func (d *devices) observe() *cobra.Command {
	c := &cobra.Command{
		Use: "observe DEVICE PATH...", Short: "Have a device tell of changes, and print them", Args: args(2, -1, "the device's name and what to observe"),
		Long: "Asks the device to notify what the paths name, prints what it is now, and each change until interrupted or --count is reached. --attribute says when the device\n" +
			"notifies: pmin and pmax in seconds, gt, lt and st for numbers.",
		Example:           "  edgehold device observe sensor-1 Temperature/0/Sensor_Value\n  edgehold device observe sensor-1 /3303/0/5700 --attribute pmin=10 --attribute st=0.5",
		ValidArgsFunction: d.paths("", func(x *affordance) bool { return x.Kind == mqtt.Property && x.Property.IsObservable() }),
	}
	attributes := c.Flags().StringSlice("attribute", nil, "NAME=VALUE of a notification (pmin, pmax, gt, lt, st ...)")
	count := c.Flags().Int("count", 0, "stop after so many lines; 0: never")
	c.RunE = d.watching(func(ctx context.Context, f *fleet, p *cli.Printer, args []string) error {
		asked, err := attributesOf(c, *attributes)
		if err != nil {
			return err
		}
		m, err := f.model(ctx, args[0])
		if err != nil {
			return err
		}
		out := stream{printer: p, limit: *count}
		coming := make(chan *mqtt.Notification, maxTold)
		for _, path := range args[1:] {
			t, err := m.target(path, mqtt.Property, mqtt.Event)
			if err != nil {
				return err
			}
			first, cancel, err := f.client.Observe(ctx, t.Topic, asked, func(n *mqtt.Notification) { enqueue(coming, n) })
			if err != nil {
				return err
			}
			defer cancel()
			if done, err := out.write(m.readings(t.Topic, first.Objects), d.clock()); done {
				return err
			}
		}
		return out.follow(ctx, coming, m, d.clock)
	})
	return c
}

func enqueue(to chan<- *mqtt.Notification, n *mqtt.Notification) {
	select {
	case to <- n:
	default: // the terminal does not keep up: what came is the older, and stays
	}
}

// attributesOf reads NAME=VALUE of notifications. Values are numbers.
func attributesOf(c *cobra.Command, words []string) (map[string]any, error) {
	if len(words) == 0 {
		return nil, nil
	}
	asked := map[string]any{}
	for _, word := range words {
		name, text, found := strings.Cut(word, "=")
		n, err := strconv.ParseFloat(text, 64)
		if !found || name == "" || err != nil {
			return nil, usage(c, "read --attribute "+word, "it is not NAME=NUMBER")
		}
		if asked[name] = n; n == float64(int64(n)) {
			asked[name] = int64(n)
		}
	}
	return asked, nil
}

// stream prints values as they come.
type stream struct {
	printer *cli.Printer
	limit   int
	lines   int
	table   *cli.Rolling[told]
}

// write prints readings; done: that was enough.
func (s *stream) write(all []reading, at time.Time) (done bool, err error) {
	if s.table == nil {
		s.table = cli.Roll(s.printer, toldTable)
	}
	for _, r := range all {
		n, _ := r.topic.Label.Number()
		t := told{r, at}
		err := s.table.Add(t, map[string]any{"time": at, "path": pathOf(r.topic), "object": r.topic.Object, "label": n, "property": r.topic.Name, "value": plain(r.value)})
		if s.lines++; err != nil || s.limit > 0 && s.lines >= s.limit {
			return true, err
		}
	}
	return false, nil
}

// follow prints what comes until ctx ends, an observation ends, or there was enough.
func (s *stream) follow(ctx context.Context, coming <-chan *mqtt.Notification, m *deviceModel, now func() time.Time) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case n := <-coming:
			if n.Error != nil {
				return n.Error
			}
			at := n.Time
			if at.IsZero() {
				at = now()
			}
			if done, err := s.write(m.readings(n.Topic, n.Objects), at); done {
				return err
			}
		}
	}
}

func (d *devices) watch() *cobra.Command {
	c := &cobra.Command{
		Use: "watch DEVICE", Short: "Print whatever a device tells, and ask it for nothing", Args: args(1, 1, "the device's name"),
		Long:    "Prints what is notified because somebody observes it, and what the device sends by itself.",
		Example: "  edgehold device watch sensor-1", ValidArgsFunction: d.deviceNames,
	}
	count := c.Flags().Int("count", 0, "stop after so many lines; 0: never")
	c.RunE = d.watching(func(ctx context.Context, f *fleet, p *cli.Printer, args []string) error {
		m, err := f.model(ctx, args[0])
		if err != nil {
			return err
		}
		coming := make(chan *mqtt.Notification, maxTold)
		cancel, err := f.client.Listen(ctx, mqtt.Topic{Thing: args[0]}, func(n *mqtt.Notification) {
			if n.Error == nil { // one observation that ended ends nothing here
				enqueue(coming, n)
			}
		})
		if err != nil {
			return err
		}
		defer cancel()
		out := stream{printer: p, limit: *count}
		return out.follow(ctx, coming, m, d.clock)
	})
	return c
}

// found is a link that a device gave.
type found struct {
	Path       string            `json:"path"`
	Name       string            `json:"name,omitempty"`
	Attributes map[string]string `json:"attributes,omitempty"`
}

var foundTable = cli.Table[found]{
	Name: func(x found) string { return x.Path },
	Columns: []cli.Column[found]{
		{Title: "PATH", Text: func(x found) string { return x.Path }},
		{Title: "NAME", Text: func(x found) string { return x.Name }},
		{Title: "ATTRIBUTES", Text: func(x found) string { return pairs(x.Attributes) }},
	},
}

func (d *devices) discover() *cobra.Command {
	c := &cobra.Command{
		Use: "discover DEVICE [PATH]", Short: "Ask a device what it has, and when it notifies", Args: args(1, 2, "the device's name"),
		Long:    "Asks the device itself, where describe shows what its gateway knows. Attributes are those of notifications, and the dimension of arrays.",
		Example: "  edgehold device discover sensor-1\n  edgehold device discover sensor-1 Temperature/0", ValidArgsFunction: d.objectNames,
	}
	c.RunE = d.asking(func(ctx context.Context, f *fleet, p *cli.Printer, args []string) error {
		m, err := f.model(ctx, args[0])
		if err != nil {
			return err
		}
		topics := m.topics()
		if len(args) > 1 {
			t, err := m.target(args[1], mqtt.Property, mqtt.Action)
			if err != nil {
				return err
			}
			topics = []mqtt.Topic{t.Topic}
		}
		all := []found{}
		for _, topic := range topics {
			links, err := f.discover(ctx, topic)
			if err != nil {
				return err
			}
			all = append(all, m.found(links)...)
		}
		return cli.List(p, foundTable, all, map[string]any{"items": all})
	})
	return c
}

// topics are the objects of a device.
func (m *deviceModel) topics() (all []mqtt.Topic) {
	for _, o := range m.objects {
		all = append(all, mqtt.Topic{Thing: m.device, Object: o.Name})
	}
	return all
}

func (f *fleet) discover(ctx context.Context, topic mqtt.Topic) (lwm2m.Links, error) {
	response, err := f.client.Do(ctx, mqtt.Request{Topic: topic, Operation: mqtt.Discover})
	if err != nil {
		return nil, err
	}
	text, _ := response.Data.(string)
	return lwm2m.ParseLinks([]byte(text))
}

// found gives links the names of the model.
func (m *deviceModel) found(links lwm2m.Links) []found {
	all := make([]found, 0, len(links))
	for _, link := range links {
		x := found{Path: link.Target, Attributes: map[string]string{}}
		for name, value := range link.All() {
			x.Attributes[name] = value
		}
		if t, err := m.target(link.Target, mqtt.Property, mqtt.Action); err == nil {
			x.Name = pathOf(t.Topic)
		}
		all = append(all, x)
	}
	return all
}
