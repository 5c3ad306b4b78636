package gateway

import (
	"context"
	"fmt"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/plugins/parcel"
	"github.com/edgehold/edgehold/sdf"
	"github.com/edgehold/edgehold/sdf/mqtt"
)

// Software Management and the resource that carries a package (OMA object 9).
const (
	objectSoftware  = 9
	resourcePackage = 2
)

// change does POST and PUT: what they mean goes by what the topic names.
func (t *target) change(ctx context.Context) (*mqtt.Response, error) {
	switch {
	case t.Affordance == mqtt.Action && t.Operation == mqtt.Post:
		return t.execute(ctx)
	case t.Affordance == mqtt.Property:
		return t.writeProperty(ctx)
	case t.path.Depth() == 2 && t.Affordance == mqtt.None:
		return t.writeInstance(ctx)
	case t.path.Depth() == 1 && t.Operation == mqtt.Post:
		return t.create(ctx)
	default:
		return nil, t.notAllowed("there is nothing of the kind to be changed")
	}
}

func (t *target) execute(ctx context.Context) (*mqtt.Response, error) {
	arguments, err := t.resource.Arguments(t.Data)
	if err != nil {
		return nil, err
	}
	if err := t.gateway.server.Execute(ctx, t.Thing, t.path, arguments); err != nil {
		return nil, err
	}
	return &mqtt.Response{Code: mqtt.Changed}, nil
}

func (t *target) writeProperty(ctx context.Context) (*mqtt.Response, error) {
	tree, err := t.propertyTree()
	if err != nil {
		return nil, err
	}
	partial := t.Operation == mqtt.Post && t.resource.Definition != nil && t.resource.Definition.Multiple && t.path.Depth() == 3
	return t.write(ctx, tree, partial)
}

// propertyTree makes records of the data of a property. A JSON object for opaque bytes, such as D3.3's package
// specification, goes as the text that it is.
func (t *target) propertyTree() (lwm2m.Tree, error) {
	data := t.Data
	if d := t.resource.Definition; d != nil && d.Kind == lwm2m.KindOpaque && !d.Multiple {
		switch data.(type) {
		case map[string]any, []any:
			text, err := sdf.EncodeJSON(data)
			if err != nil {
				return nil, err
			}
			data = text
		}
	}
	if t.path.Depth() == lwm2m.MaxDepth {
		v, err := t.resource.ToValue(data)
		return lwm2m.Tree{{Path: t.path, Value: v}}, err
	}
	return t.resource.Tree(t.path.Instance(), data)
}

func (t *target) writeInstance(ctx context.Context) (*mqtt.Response, error) {
	properties, err := t.properties()
	if err != nil {
		return nil, err
	}
	tree, err := t.object.Tree(t.path.Instance(), properties)
	if err != nil {
		return nil, err
	}
	return t.write(ctx, tree, t.Operation == mqtt.Post)
}

// write sends a tree to the device, in place of what is there or beside it.
func (t *target) write(ctx context.Context, tree lwm2m.Tree, partial bool) (*mqtt.Response, error) {
	if err := t.gateway.admit(t.Thing, tree); err != nil {
		return nil, err
	}
	write := t.gateway.server.Replace
	if partial {
		write = t.gateway.server.Write
	}
	if err := write(ctx, t.Thing, t.path, tree); err != nil {
		return nil, err
	}
	return &mqtt.Response{Code: mqtt.Changed}, nil
}

// create makes an instance: {"label": 1, "sdfProperty": {...}}, both of which may be left out.
func (t *target) create(ctx context.Context) (*mqtt.Response, error) {
	label := uint16(lwm2m.NoID) // the device chooses
	if members, ok := t.Data.(map[string]any); ok && members["label"] != nil {
		if label, ok = labelOf(members["label"]); !ok {
			return nil, refuse(mqtt.BadRequest, CodeData, what(t.Request), "the label is no number from 0 to 65534", `send {"label": 1}`)
		}
	}
	properties, err := t.properties()
	if err != nil {
		return nil, err
	}
	tree, err := t.object.Tree(label, properties)
	if err != nil {
		return nil, err
	}
	if err := t.gateway.admit(t.Thing, tree); err != nil {
		return nil, err
	}
	at := t.path
	if label != lwm2m.NoID {
		at = at.Child(label)
	}
	made, err := t.gateway.server.Create(ctx, t.Thing, at, tree)
	if err != nil {
		return nil, err
	}
	return &mqtt.Response{Code: mqtt.Created, Data: int64(made.Instance())}, nil
}

// properties are those in the data of a request about an instance: the member sdfProperty, as replies have it.
func (t *target) properties() (map[string]any, error) {
	if t.Data == nil {
		return nil, nil
	}
	members, ok := t.Data.(map[string]any)
	if !ok {
		return nil, refuse(mqtt.BadRequest, CodeData, what(t.Request), "the data is no object", `send {"label": 1, "sdfProperty": {"NAME": VALUE}}`)
	}
	properties, told := members["sdfProperty"]
	if !told {
		if _, label := members["label"]; label || t.path.Depth() == 1 {
			return nil, nil
		}
		properties = members
	}
	named, ok := properties.(map[string]any)
	if !ok {
		return nil, refuse(mqtt.BadRequest, CodeData, what(t.Request), "sdfProperty is no object", `send {"sdfProperty": {"NAME": VALUE}}`)
	}
	return named, nil
}

// admit checks the device packages in what is to be written, if there are keys to check them with. The device does it
// again: it need not trust the gateway.
func (g *Gateway) admit(endpoint string, tree lwm2m.Tree) error {
	if len(g.config.PackageKeys) == 0 {
		return nil
	}
	for _, r := range tree {
		if r.Path.Object() != objectSoftware || r.Path.Depth() < 3 || r.Path.Resource() != resourcePackage || r.Value.IsNone() {
			continue
		}
		if err := g.checkPackage(endpoint, r.Value.Bytes()); err != nil {
			g.stats.refused.Add(1)
			g.log.Warn("a device package is refused", "endpoint", endpoint, "error", err)
			e := errorOf(err)
			return refuse(mqtt.Forbidden, CodePackage, fmt.Sprintf("write a package to %s", endpoint), e.Why, e.Hint)
		}
	}
	return nil
}

func (g *Gateway) checkPackage(endpoint string, b []byte) error {
	head, _, err := parcel.Parse(b)
	if err != nil {
		return err
	}
	trust := parcel.Trust{Keys: g.config.PackageKeys, Device: endpoint}
	return trust.Check(head)
}
