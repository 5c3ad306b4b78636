package main

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/cmd/internal/cli"
	"github.com/edgehold/edgehold/sdf/mqtt"
)

var deviceTable = cli.Table[*mqtt.Announcement]{
	Name: func(a *mqtt.Announcement) string { return a.Thing },
	Columns: []cli.Column[*mqtt.Announcement]{
		{Title: "NAME", Text: func(a *mqtt.Announcement) string { return a.Thing }},
		{Title: "PROTOCOL", Text: func(a *mqtt.Announcement) string { return a.Protocol }},
		{Title: "SLEEPS", Text: func(a *mqtt.Announcement) string { return yesNo(a.Sleeps) }},
		{Title: "OBJECTS", Right: true, Text: func(a *mqtt.Announcement) string { return strconv.Itoa(len(a.Objects)) }},
		{Title: "WORKLOADS", Right: true, Text: func(a *mqtt.Announcement) string { return offered(a, objectSoftware) }},
		{Title: "REGISTERED", Text: func(a *mqtt.Announcement) string { return timestamp(a.Time) }},
		{Title: "LIFETIME", Wide: true, Right: true, Text: func(a *mqtt.Announcement) string { return seconds(a.Lifetime) }},
		{Title: "HAS", Wide: true, Text: func(a *mqtt.Announcement) string { return offers(a) }},
		{Title: "LABELS", Wide: true, Text: func(a *mqtt.Announcement) string { return pairs(a.Labels) }},
	},
}

func seconds(n uint32) string { return (time.Duration(n) * time.Second).String() }

// offered is the number of instances that a device has of an object, "" if it does not have it.
func offered(a *mqtt.Announcement, object uint16) string {
	for _, o := range a.Objects {
		if o.ID == object {
			return strconv.Itoa(len(o.Labels))
		}
	}
	return ""
}

func offers(a *mqtt.Announcement) string {
	names := make([]string, len(a.Objects))
	for i, o := range a.Objects {
		names[i] = o.Name
	}
	return list(names)
}

type deviceList struct {
	Items []*mqtt.Announcement `json:"items"`
}

func (d *devices) list() *cobra.Command {
	c := &cobra.Command{
		Use: "list", Short: "List devices", Aliases: []string{"ls"}, Args: args(0, 0, ""),
		Example: "  edgehold device list\n  edgehold device list -o wide\n  edgehold device list --watch",
	}
	watch := c.Flags().BoolP("watch", "w", false, "go on and print who comes and goes")
	c.RunE = func(c *cobra.Command, args []string) error {
		if *watch {
			return d.watching(func(ctx context.Context, f *fleet, p *cli.Printer, _ []string) error {
				return cli.Watch(p, deviceTable, f.changes(ctx))
			})(c, args)
		}
		return d.asking(func(ctx context.Context, f *fleet, p *cli.Printer, _ []string) error {
			w, err := f.announced(ctx, "")
			if err != nil {
				return err
			}
			for _, g := range w.gone() {
				fmt.Fprintf(d.err, "%s is not connected since %s: its devices can't be asked\n", cli.Clean(g.Name), timestamp(g.Time))
			}
			items := w.sorted()
			return cli.List(p, deviceTable, items, deviceList{items})
		})(c, args)
	}
	return c
}

// crowd is what announcements came so far, and which gateways are there.
type crowd struct {
	mu       sync.Mutex
	known    map[string]*mqtt.Announcement
	gateways map[string]mqtt.Presence
	last     time.Time
}

func (w *crowd) add(a *mqtt.Announcement) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.known[a.Thing], w.last = a, time.Now()
}

func (w *crowd) gateway(p mqtt.Presence) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gateways[p.Name], w.last = p, time.Now()
}

// still reports whether nothing came for a while.
func (w *crowd) still(quiet time.Duration) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Since(w.last) >= quiet
}

func (w *crowd) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.known)
}

func (w *crowd) has(device string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.known[device] != nil
}

func (w *crowd) sorted() []*mqtt.Announcement {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make([]*mqtt.Announcement, 0, len(w.known))
	for _, a := range w.known {
		all = append(all, a)
	}
	slices.SortFunc(all, func(a, b *mqtt.Announcement) int { return strings.Compare(a.Thing, b.Thing) })
	return all
}

// gone are the gateways that are not connected, in order.
func (w *crowd) gone() (all []mqtt.Presence) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.gateways {
		if !p.Online {
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b mqtt.Presence) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// quiet is how long nothing may come until what the broker kept counts as told; while the gateway may yet answer it is unanswered.
const (
	quiet      = 300 * time.Millisecond
	unanswered = time.Second
)

// fewDevices is how many announcements a broker hands over without waiting for an acknowledgement (its receive maximum is 128 and more).
const fewDevices = 64

// announced returns what is announced now of one device, or of all. A broker does not say when it has told all that it kept. But what it sends us after that is
// ours to cause: the gateway's answer to a question about a thing that there is not. If nobody answers that, as when this user may not ask, or if there is
// much on the way, all is told when nothing came for a while.
func (f *fleet) announced(ctx context.Context, device string) (*crowd, error) {
	w := &crowd{known: map[string]*mqtt.Announcement{}, gateways: map[string]mqtt.Presence{}, last: time.Now()}
	cancel, err := f.client.Watch(ctx, mqtt.Watcher{Thing: device, Announced: w.add, Gateway: w.gateway})
	if err != nil {
		return nil, err
	}
	defer cancel()
	asking, stop := context.WithCancel(ctx)
	defer stop()
	answered := make(chan bool, 1)
	go func() {
		r, _ := f.client.Do(asking, mqtt.Request{Topic: mqtt.Topic{Thing: f.connection.Name()}, Operation: mqtt.Get})
		answered <- r != nil
	}()
	told, patience := false, unanswered
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !w.has(device) && !w.still(patience) && !(told && w.count() <= fewDevices) {
		select {
		case r := <-answered:
			if told = r; told {
				patience = quiet
			}
		case <-tick.C:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return w, nil
}

// devices returns the devices that are announced now.
func (f *fleet) devices(ctx context.Context) ([]*mqtt.Announcement, error) {
	w, err := f.announced(ctx, "")
	if err != nil {
		return nil, err
	}
	return w.sorted(), nil
}

// announcement returns that of one device.
func (f *fleet) announcement(ctx context.Context, device string) (*mqtt.Announcement, error) {
	w, err := f.announced(ctx, device)
	if err != nil {
		return nil, err
	}
	if all := w.sorted(); len(all) > 0 {
		return all[0], nil
	}
	names, err := namesOf(f.devices(ctx))(func(a *mqtt.Announcement) string { return a.Thing })
	if err != nil {
		return nil, err
	}
	return nil, failDevice(exitNotFound, "find device "+device, "device.unknown", "no device of that name is announced"+similar(device, names), "run edgehold device list")
}

// changes yields who is there, and then who comes and goes.
func (f *fleet) changes(ctx context.Context) iter.Seq2[api.Change[*mqtt.Announcement], error] {
	type change = api.Change[*mqtt.Announcement]
	return func(yield func(change, error) bool) {
		there, err := f.devices(ctx)
		if err != nil {
			yield(change{}, err)
			return
		}
		since := map[string]uint64{}
		for _, a := range there {
			since[a.Thing] = a.Epoch
			if !yield(change{Type: api.ChangePresent, Name: a.Thing, Item: &a}, nil) {
				return
			}
		}
		if !yield(change{Type: api.ChangeListed}, nil) {
			return
		}
		coming := make(chan change, 1024) // a person's terminal may be slow; beyond it announcements are dropped
		send := func(c change) {
			select {
			case coming <- c:
			default:
			}
		}
		cancel, err := f.client.Watch(ctx, mqtt.Watcher{
			Announced: func(a *mqtt.Announcement) { send(change{Type: api.ChangeChanged, Name: a.Thing, Item: &a}) },
			Gone:      func(g *mqtt.Farewell) { send(change{Type: api.ChangeGone, Name: g.Thing}) },
		})
		if err != nil {
			yield(change{}, err)
			return
		}
		defer cancel()
		for {
			select {
			case <-ctx.Done():
				return
			case c := <-coming:
				if c.Item != nil && since[c.Name] == (*c.Item).Epoch {
					continue // kept by the broker, and shown
				}
				delete(since, c.Name)
				if c.Item != nil {
					since[c.Name] = (*c.Item).Epoch
				}
				if !yield(c, nil) {
					return
				}
			}
		}
	}
}

// deviceNames completes the first argument.
func (d *devices) deviceNames(_ *cobra.Command, given []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(given) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return d.offer(func(ctx context.Context, f *fleet) ([]string, error) {
		return namesOf(f.devices(ctx))(func(a *mqtt.Announcement) string { return a.Thing })
	}), cobra.ShellCompDirectiveNoFileComp
}

// offer asks within the time that a shell may wait.
func (d *devices) offer(ask func(context.Context, *fleet) ([]string, error)) []string {
	ctx, cancel := context.WithTimeout(context.Background(), completionTimeout)
	defer cancel()
	f, err := d.connect(ctx)
	if err != nil {
		return nil
	}
	defer f.close()
	found, err := ask(ctx, f)
	if err != nil {
		return nil
	}
	return found
}

// paths completes a device, and then a path to what suits.
func (d *devices) paths(suffix string, suits func(*affordance) bool) completion {
	return func(c *cobra.Command, given []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		if len(given) == 0 {
			return d.deviceNames(c, given, toComplete)
		}
		found := d.offer(func(ctx context.Context, f *fleet) ([]string, error) {
			m, err := f.model(ctx, given[0])
			if err != nil {
				return nil, err
			}
			return m.paths(suffix, suits), nil
		})
		directive := cobra.ShellCompDirectiveNoFileComp
		if suffix != "" {
			directive |= cobra.ShellCompDirectiveNoSpace
		}
		return found, directive
	}
}

// paths lists every path of a device to what suits.
func (m *deviceModel) paths(suffix string, suits func(*affordance) bool) (all []string) {
	for _, o := range m.objects {
		for _, label := range o.Labels {
			for i := range o.Affordances {
				if x := &o.Affordances[i]; suits(x) {
					all = append(all, o.Name+"/"+strconv.Itoa(int(label))+"/"+x.Name+suffix)
				}
			}
		}
	}
	return all
}
