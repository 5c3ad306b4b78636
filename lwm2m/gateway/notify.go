package gateway

import (
	"context"
	"hash/fnv"
	"slices"
	"time"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/server"
	"github.com/edgehold/edgehold/sdf/mqtt"
	"github.com/edgehold/edgehold/sdf/oma"
)

// told is an event of a device on its way to the bus.
type told struct {
	endpoint string
	path     lwm2m.Path
	tree     lwm2m.Tree
	ended    error
	size     int // in the backlog
}

// pass hands an event to the line of its device, if that has not too much in it already: whoever says more than can be published loses
// that, and nobody else anything. It waits while the line is full: the server's subscription is what overflows then, which is noticed.
func (g *Gateway) pass(ctx context.Context, e server.Event) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(e.Endpoint)) // which does not fail
	t := told{endpoint: e.Endpoint, path: e.Path, tree: e.Tree}
	if e.Kind == server.Ended {
		t.ended = e.Err
	}
	var ok, tell bool
	if t.size, ok, tell = g.backlog.enter(e.Endpoint, e.Tree.Size(), time.Now()); !ok {
		g.stats.dropped.Add(1)
		if tell {
			g.log.Warn("a device says more than can be published; what is too much is lost", "endpoint", e.Endpoint)
		}
		return
	}
	select {
	case g.lines[h.Sum32()%uint32(len(g.lines))] <- t:
	case <-ctx.Done():
	}
}

// publish works off a line until the context ends.
func (g *Gateway) publish(ctx context.Context, line <-chan told) {
	for {
		select {
		case <-ctx.Done():
			return
		case t := <-line:
			for _, n := range g.notifications(t) {
				g.notify(ctx, n)
			}
			g.backlog.leave(t.endpoint, t.size)
		}
	}
}

func (g *Gateway) notify(ctx context.Context, n *mqtt.Notification) {
	if err := mqtt.Notify(ctx, g.config.Bus, n); err != nil {
		g.stats.failures.Add(1)
		g.log.Debug("a notification could not be published", "topic", n.Topic.String(), "error", err)
		return
	}
	g.stats.notifications.Add(1)
}

// notifications are what an event is over MQTT: of an observation of one path one notification for each point in time; of a
// composite one, and of a Send, as many for each resource.
func (g *Gateway) notifications(t told) []*mqtt.Notification {
	r, ok := g.server.Device(t.endpoint)
	if !ok {
		return nil
	}
	objects := g.translator.Objects(registered(r))
	if t.ended != nil {
		topic, _, ok := topicOf(t.endpoint, objects, t.path)
		if !ok {
			return nil
		}
		return []*mqtt.Notification{{Topic: topic, Error: errorOf(t.ended)}}
	}
	if t.path.Depth() > 0 {
		return g.series(t.endpoint, objects, t.path, t.tree)
	}
	var all []*mqtt.Notification
	for len(t.tree) > 0 {
		resource := t.tree[0].Path.Truncate(3)
		below := t.tree.Below(resource)
		all = append(all, g.series(t.endpoint, objects, resource, below)...)
		t.tree = t.tree[max(1, len(below)):]
	}
	return all
}

// series makes a notification of a path for each point in time that a tree has, in their order.
func (g *Gateway) series(endpoint string, objects []*oma.Object, p lwm2m.Path, tree lwm2m.Tree) []*mqtt.Notification {
	topic, object, ok := topicOf(endpoint, objects, p)
	if !ok {
		return nil
	}
	var all []*mqtt.Notification
	for _, moment := range momentsOf(tree) {
		n := &mqtt.Notification{Topic: topic, Time: moment.time}
		if n.Objects, ok = g.contents(topic, object, p, moment.tree); ok {
			all = append(all, n)
		}
	}
	return all
}

// moment is what a tree says of one point in time.
type moment struct {
	time time.Time
	tree lwm2m.Tree
}

// momentsOf parts a tree by time, oldest first; nearly always there is one.
func momentsOf(tree lwm2m.Tree) []moment {
	if len(tree) == 0 || !slices.ContainsFunc(tree, func(r lwm2m.Record) bool { return !r.Time.Equal(tree[0].Time) }) {
		return []moment{{timeOf(tree), tree}}
	}
	var all []moment
	at := map[int64]int{}
	for _, r := range tree {
		key := r.Time.UnixMicro() // what a payload can tell apart
		i, ok := at[key]
		if !ok {
			i = len(all)
			at[key] = i
			all = append(all, moment{time: r.Time})
		}
		all[i].tree = append(all[i].tree, r)
	}
	slices.SortStableFunc(all, func(a, b moment) int { return a.time.Compare(b.time) })
	return all
}

func timeOf(tree lwm2m.Tree) time.Time {
	if len(tree) == 0 {
		return time.Time{}
	}
	return tree[0].Time
}

// topicOf is the address of a path in SDF, with the object that it belongs to.
func topicOf(endpoint string, objects []*oma.Object, p lwm2m.Path) (t mqtt.Topic, object *oma.Object, ok bool) {
	for _, o := range objects {
		if o.ID == p.Object() {
			object = o
		}
	}
	if object == nil || p.Depth() == 0 {
		return t, nil, false
	}
	t = mqtt.Topic{Thing: endpoint, Object: object.Name}
	if p.Depth() > 1 {
		t.Label = mqtt.At(p.Instance())
	}
	if p.Depth() > 2 {
		t.Affordance, t.Name = mqtt.Property, object.Resource(p.Resource()).Name
	}
	if p.Depth() > 3 {
		t.Element = mqtt.At(p.ResourceInstance())
	}
	return t, object, true
}

// contents are the values of what a topic addresses.
func (g *Gateway) contents(t mqtt.Topic, o *oma.Object, p lwm2m.Path, tree lwm2m.Tree) (mqtt.Objects, bool) {
	switch p.Depth() {
	case 3:
		return mqtt.One(t, g.shown(o.Resource(p.Resource()).Value(tree.Below(p)))), true
	case 4:
		v, ok := tree.Value(p)
		return mqtt.One(t, g.shown(oma.FromValue(v))), ok
	}
	instances := []mqtt.Instance{}
	for _, i := range o.Instances(tree) {
		for name, value := range i.Properties {
			i.Properties[name] = g.shown(value)
		}
		instances = append(instances, mqtt.Instance{Label: i.Label, Properties: i.Properties})
	}
	return mqtt.Objects{o.Name: instances}, true
}

// shown is a value as it goes out.
func (g *Gateway) shown(value any) any {
	if g.config.Strings {
		return oma.Strings(value)
	}
	return value
}

// observed are the topics of what of a device is under observation.
func (g *Gateway) observed(r server.Registration) []mqtt.Topic {
	observations, err := g.server.Observations(r.Endpoint)
	if err != nil || len(observations) == 0 {
		return nil
	}
	objects := g.translator.Objects(registered(r))
	var topics []mqtt.Topic
	for _, o := range observations {
		if t, _, ok := topicOf(r.Endpoint, objects, o.Path); ok {
			topics = append(topics, t)
		}
	}
	return topics
}
