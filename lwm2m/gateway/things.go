package gateway

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/server"
	"github.com/edgehold/edgehold/sdf/mqtt"
	"github.com/edgehold/edgehold/sdf/oma"
)

// Do does what a request asks for, and answers before the context ends. A device that sleeps is waited for until then.
func (g *Gateway) Do(ctx context.Context, r *mqtt.Request) *mqtt.Response {
	g.stats.requests.Add(1)
	answer, err := g.do(ctx, r)
	if err != nil {
		answer = response(err)
	}
	if !answer.Code.OK() {
		g.stats.failed.Add(1)
	}
	return answer
}

func (g *Gateway) do(ctx context.Context, r *mqtt.Request) (*mqtt.Response, error) {
	device, ok := g.server.Device(r.Thing)
	if !ok {
		return nil, refuse(mqtt.NotFound, CodeUnknownDevice, what(r), "no device of the name is registered", "list the devices; one that was registered comes back with its next registration")
	}
	if r.Object == "" {
		return g.doThing(ctx, device, r)
	}
	t, err := g.target(device, r)
	if err != nil {
		return nil, err
	}
	switch r.Operation {
	case mqtt.Get:
		return t.get(ctx)
	case mqtt.Post, mqtt.Put:
		return t.change(ctx)
	case mqtt.Delete:
		return t.delete(ctx)
	case mqtt.Observe:
		return t.observe(ctx)
	case mqtt.Cancel:
		return t.cancel(ctx)
	case mqtt.Discover:
		return t.discover(ctx)
	default:
		return nil, t.notAllowed("nobody knows the operation")
	}
}

// doThing does what is asked of a device as a whole.
func (g *Gateway) doThing(ctx context.Context, device server.Registration, r *mqtt.Request) (*mqtt.Response, error) {
	switch r.Operation {
	case mqtt.Get:
		return &mqtt.Response{Code: mqtt.Content, Model: g.translator.Thing(r.Thing, registered(device)).Tree()}, nil
	case mqtt.Discover: // LwM2M lists objects at registration and not on demand
		return &mqtt.Response{Code: mqtt.Content, Data: device.Links().String()}, nil
	default:
		return nil, refuse(mqtt.NotAllowed, CodeNotAllowed, what(r), "a device as a whole can be read and discovered", "name an object: "+r.Thing+"/Device")
	}
}

func what(r *mqtt.Request) string { return string(r.Operation) + " " + r.Topic.String() }

// target is what a request is about.
type target struct {
	*mqtt.Request
	gateway  *Gateway
	object   *oma.Object
	resource *oma.Resource // of a property or an action
	path     lwm2m.Path
}

// target finds what a request's topic names.
func (g *Gateway) target(device server.Registration, r *mqtt.Request) (*target, error) {
	t := &target{Request: r, gateway: g}
	objects := g.translator.Objects(registered(device))
	var ok bool
	if t.object, ok = oma.Find(objects, r.Object); !ok {
		return nil, refuse(mqtt.NotFound, CodeUnknownObject, what(r), "the device has no object of that name", "it has "+namesOf(objects))
	}
	t.path = lwm2m.PathOf(t.object.ID)
	instance, ok := r.Label.Number()
	if !ok {
		return t, nil
	}
	t.path = t.path.Child(instance)
	if r.Affordance == mqtt.None {
		return t, nil
	}
	find := t.object.Property
	if r.Affordance == mqtt.Action {
		find = t.object.Action
	}
	if t.resource, ok = find(r.Name); !ok {
		return nil, refuse(mqtt.NotFound, CodeUnknownName, what(r), fmt.Sprintf("%s has no %s of that name", t.object.Name, r.Affordance), "GET "+r.Thing+" tells the device's model")
	}
	t.path = t.resource.Path(instance)
	if element, ok := r.Element.Number(); ok {
		t.path = t.path.Child(element)
	}
	return t, nil
}

func namesOf(objects []*oma.Object) string {
	names := ""
	for i, o := range objects {
		if i > 0 {
			names += ", "
		}
		names += o.Name
	}
	return names
}

func (t *target) notAllowed(why string) error {
	return refuse(mqtt.NotAllowed, CodeNotAllowed, what(t.Request), why, "properties take GET, POST, PUT and OBSERVE, actions POST, instances GET, PUT and DELETE, objects GET and POST")
}

// values answers with what a tree says of the target.
func (t *target) values(tree lwm2m.Tree) *mqtt.Response {
	objects, ok := t.gateway.contents(t.Topic, t.object, t.path, tree)
	if !ok {
		return mqtt.Fail(mqtt.NotFound, mqtt.Error{Code: CodeUnknownName, Message: what(t.Request), Why: "the device answered without it", Hint: "read the level above"})
	}
	return &mqtt.Response{Code: mqtt.Content, Objects: objects}
}

// named is the target's topic with names where the request has numbers.
func (t *target) named() mqtt.Topic {
	topic := t.Topic
	topic.Object = t.object.Name
	if t.resource != nil {
		topic.Name = t.resource.Name
	}
	return topic
}

func (t *target) get(ctx context.Context) (*mqtt.Response, error) {
	if t.Affordance == mqtt.Action {
		return nil, t.notAllowed("an action is invoked by POST")
	}
	tree, err := t.gateway.server.Read(ctx, t.Thing, t.path)
	if err != nil {
		return nil, err
	}
	return t.values(tree), nil
}

func (t *target) discover(ctx context.Context) (*mqtt.Response, error) {
	depth, err := t.depth()
	if err != nil {
		return nil, err
	}
	found, err := t.gateway.server.Do(ctx, t.Thing, server.Request{Operation: server.OpDiscover, Path: t.path, Depth: depth})
	if err != nil {
		return nil, err
	}
	return &mqtt.Response{Code: mqtt.Content, Data: found.Links.String()}, nil
}

// depth is how many levels a discovery lists, from {"depth": 1}; 0 leaves that to the device.
func (t *target) depth() (uint8, error) {
	if t.Data == nil {
		return 0, nil
	}
	members, _ := t.Data.(map[string]any)
	text, _ := oma.Strings(members["depth"]).(string)
	n, err := strconv.ParseUint(text, 10, 8)
	if err != nil || n == 0 {
		return 0, refuse(mqtt.BadRequest, CodeData, what(t.Request), "the data has no depth of 1 to 3", `send {"depth": 1}, or nothing`)
	}
	return uint8(n), nil
}

func (t *target) delete(ctx context.Context) (*mqtt.Response, error) {
	if t.path.Depth() != 2 {
		return nil, t.notAllowed("only instances are deleted")
	}
	if err := t.gateway.server.Delete(ctx, t.Thing, t.path); err != nil {
		return nil, err
	}
	return &mqtt.Response{Code: mqtt.Deleted}, nil
}

// observe begins an observation, after the attributes that the request has for it.
func (t *target) observe(ctx context.Context) (*mqtt.Response, error) {
	if t.Affordance == mqtt.Action {
		return nil, t.notAllowed("an action cannot be observed")
	}
	if named := t.named(); named != t.Topic { // what comes is published under the names
		return nil, refuse(mqtt.BadRequest, CodeData, what(t.Request), "it is named by a number", "observe "+named.String())
	}
	attributes, err := attributesOf(t.Data)
	if err != nil {
		return nil, err
	}
	if attributes.Has|attributes.Unset != 0 {
		if err := t.gateway.server.WriteAttributes(ctx, t.Thing, t.path, attributes); err != nil {
			return nil, err
		}
	}
	_, tree, err := t.gateway.server.Observe(ctx, t.Thing, t.path)
	if err != nil {
		return nil, err
	}
	return t.values(tree), nil
}

// attributesOf reads {"pmin": 10, "gt": 42.5, "st": null}: null takes one away.
func attributesOf(data any) (lwm2m.Attributes, error) {
	if data == nil {
		return lwm2m.Attributes{}, nil
	}
	members, ok := data.(map[string]any)
	if !ok {
		return lwm2m.Attributes{}, refuse(mqtt.BadRequest, CodeData, "read the attributes of an observation", "the data is no object", `send {"pmin": 10, "pmax": 60}`)
	}
	var queries []string
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if members[name] == nil {
			queries = append(queries, name)
			continue
		}
		text, ok := oma.Strings(members[name]).(string)
		if !ok {
			text = "?"
		}
		queries = append(queries, name+"="+text)
	}
	return lwm2m.ParseAttributes(queries)
}

// cancel ends the observation of the target; that there is none is no mistake.
func (t *target) cancel(ctx context.Context) (*mqtt.Response, error) {
	observations, err := t.gateway.server.Observations(t.Thing)
	if err != nil {
		return nil, err
	}
	for _, o := range observations {
		if o.Path == t.path {
			if err := t.gateway.server.Cancel(ctx, t.Thing, o.ID); err != nil {
				return nil, err
			}
		}
	}
	return &mqtt.Response{Code: mqtt.Changed}, nil
}

// labelOf reads the number of an instance, which D3.3 writes as a number; a text is taken too.
func labelOf(data any) (n uint16, ok bool) {
	text, ok := oma.Strings(data).(string)
	if !ok {
		return 0, false
	}
	v, err := strconv.ParseUint(text, 10, 16)
	return uint16(v), err == nil && v != lwm2m.NoID
}
