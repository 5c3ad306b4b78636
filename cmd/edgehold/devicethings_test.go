package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/device/knob"
	"github.com/edgehold/edgehold/lwm2m/model"
	"github.com/edgehold/edgehold/sdf"
	"github.com/edgehold/edgehold/sdf/mqtt"
	"github.com/edgehold/edgehold/sdf/oma"
)

// things is a gateway of devices in memory: they have the real models, the real names, and the real knob shell, and no radio.
type things struct {
	translator *oma.Translator
	bus        mqtt.Bus

	mu       sync.Mutex
	devices  map[string]*device
	observed map[mqtt.Topic]bool
}

// device is a tree of values.
type device struct {
	registered []oma.Registered
	tree       lwm2m.Tree
	knobs      *knob.Panel
	refuse     bool     // packages
	others     []string // what somebody else says to its knobs at the same time
}

type thingsKey struct{}

// startThings runs a broker with two devices, at a socket in dir for this machine's user and at a port for a user with a password, over TLS if there is a
// certificate. stop ends it.
func startThings(dir string, certificates ...tls.Certificate) (gateway *things, local, network string, stop func() error, err error) {
	local = "unix://" + filepath.Join(dir, "m")
	scheme := "mqtt"
	if len(certificates) > 0 {
		scheme = "mqtts"
	}
	broker, err := mqtt.NewBroker(mqtt.BrokerConfig{
		Listeners: []mqtt.Listener{{Address: local, User: "local"}, {Address: scheme + "://127.0.0.1:0", TLS: &tls.Config{Certificates: certificates}}},
		Access:    []mqtt.User{{Name: "local"}, {Name: "viewer", Password: mqtt.HashPassword("secret"), ReadOnly: true, Things: []string{"sensor-*"}}},
	})
	if err != nil {
		return nil, "", "", nil, err
	}
	gateway = &things{translator: oma.New(model.Core()), bus: broker.Bus("gateway"), devices: map[string]*device{}, observed: map[mqtt.Topic]bool{}}
	for _, name := range []string{"sensor-1", "actuator-1"} {
		if gateway.devices[name], err = newDevice(name); err != nil {
			return nil, "", "", nil, err
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- broker.Run(ctx) }()
	go func() { done <- mqtt.Serve(ctx, gateway.bus, gateway, mqtt.ServeConfig{Authorise: broker.Authorise}) }()
	stop = func() error { cancel(); return errors.Join(<-done, <-done) }
	for name := range gateway.devices {
		if err := mqtt.Announce(ctx, gateway.bus, gateway.announcement(name)); err != nil {
			return nil, "", "", nil, errors.Join(err, stop())
		}
	}
	return gateway, local, scheme + "://" + broker.Addresses()[1].String(), stop, nil
}

// addThings gives a script its devices.
func addThings(env *testscript.Env, dir string) error {
	certificate, err := tls.LoadX509KeyPair(filepath.Join(env.WorkDir, "ca.pem"), filepath.Join(env.WorkDir, "key.pem"))
	if err != nil {
		return err
	}
	gateway, local, network, stop, err := startThings(dir, certificate)
	if err != nil {
		return err
	}
	env.Defer(func() {
		if err := stop(); err != nil {
			env.T().Fatal(err)
		}
	})
	env.Values[thingsKey{}] = gateway
	env.Setenv("EDGEHOLD_BROKER", local)
	env.Setenv("NETWORK_BROKER", network)
	return os.WriteFile(filepath.Join(env.WorkDir, "password"), []byte("secret\n"), 0o600)
}

func newDevice(name string) (*device, error) {
	panel, err := knob.NewPanel(
		knob.Knob{Name: "TX_PWR", Choices: []string{"LOW", "MEDIUM", "HIGH"}, Default: "HIGH"},
	)
	d := &device{knobs: panel, registered: []oma.Registered{{ID: 3, Version: lwm2m.V1_1, Instances: []uint16{0}}}}
	d.set("/3/0/0", lwm2m.String("Edgehold"), "/3/0/6/0", lwm2m.Integer(1), "/3/0/6/1", lwm2m.Integer(5), "/3/0/7/0", lwm2m.Integer(3800), "/3/0/7/2", lwm2m.Integer(5000),
		"/3/0/9", lwm2m.Integer(80), "/3/0/11/0", lwm2m.Integer(0), "/3/0/13", lwm2m.Time(then), "/3/0/15", lwm2m.String("UTC"), "/3/0/16", lwm2m.String("U"))
	if name == "sensor-1" {
		d.registered = append(d.registered, oma.Registered{ID: 9}, oma.Registered{ID: 19, Instances: []uint16{0}}, oma.Registered{ID: 3303, Version: lwm2m.V1_1, Instances: []uint16{0}},
			oma.Registered{ID: 35001}, oma.Registered{ID: 35002})
		d.set("/3303/0/5700", lwm2m.Float(float64(float32(21.3))), "/3303/0/5701", lwm2m.String("Cel"), "/19/0/0/0", lwm2m.Opaque(nil), "/19/0/0/1", lwm2m.Opaque(nil))
	}
	if name == "actuator-1" {
		d.registered = append(d.registered, oma.Registered{ID: objectFirmware, Instances: []uint16{0}})
		d.firmwareStands(firmwareIdle, 0)
	}
	return d, err
}

// set writes paths and values in turn.
func (d *device) set(pairs ...any) {
	for i := 0; i < len(pairs); i += 2 {
		d.put(lwm2m.Record{Path: lwm2m.MustParsePath(pairs[i].(string)), Value: pairs[i+1].(lwm2m.Value)})
	}
}

func (d *device) put(r lwm2m.Record) {
	d.tree = slices.DeleteFunc(d.tree, func(old lwm2m.Record) bool { return old.Path == r.Path })
	d.tree = append(d.tree, r)
	d.tree.Sort()
}

func (d *device) drop(p lwm2m.Path) {
	d.tree = slices.DeleteFunc(d.tree, func(old lwm2m.Record) bool { return p.Contains(old.Path) })
}

func (d *device) text(p lwm2m.Path) string {
	v, _ := d.tree.Value(p)
	return v.Text()
}

// now are the registered objects with the instances that they have now.
func (d *device) now() []oma.Registered {
	all := slices.Clone(d.registered)
	for i := range all {
		all[i].Instances = nil
		for path := range d.tree.Children(lwm2m.PathOf(all[i].ID)) {
			all[i].Instances = append(all[i].Instances, path.Instance())
		}
	}
	return all
}

func (g *things) announcement(name string) *mqtt.Announcement {
	d := g.devices[name]
	a := &mqtt.Announcement{Thing: name, Epoch: 1, Time: then, Lifetime: 300, Protocol: "LwM2M 1.1", Sleeps: name != "sensor-1", Labels: map[string]string{"site": "roof"}}
	for _, r := range d.now() {
		a.Objects = append(a.Objects, mqtt.Offer{Name: g.translator.Object(r.ID, r.Version).Name, ID: r.ID, Labels: r.Instances})
	}
	return a
}

// Known implements mqtt.Things.
func (g *things) Known(name string) bool { return g.devices[name] != nil }

// Do implements mqtt.Things.
func (g *things) Do(ctx context.Context, r *mqtt.Request) *mqtt.Response {
	g.mu.Lock()
	defer g.mu.Unlock()
	d := g.devices[r.Thing]
	if r.Object == "" {
		return &mqtt.Response{Code: mqtt.Content, Model: g.translator.Thing(r.Thing, d.now()).Tree()}
	}
	o, ok := oma.Find(g.translator.Objects(d.registered), r.Object)
	if !ok {
		return mqtt.Fail(mqtt.NotFound, mqtt.Error{Code: "device.no-object", Message: "use " + r.Object, Why: "the device has no such object"})
	}
	path := lwm2m.PathOf(o.ID)
	if n, ok := r.Label.Number(); ok {
		path = path.Child(n)
	}
	response, err := g.do(r, d, o, path)
	if err != nil {
		own := &sdf.Error{Attempt: "do it", Code: "test", Why: err.Error()}
		errors.As(err, &own)
		return mqtt.Fail(mqtt.BadRequest, mqtt.Error{Code: own.Code, Message: own.Attempt, Why: own.Why, Hint: own.Hint})
	}
	return response
}

func (g *things) do(r *mqtt.Request, d *device, o *oma.Object, path lwm2m.Path) (*mqtt.Response, error) {
	switch {
	case r.Operation == mqtt.Discover:
		return &mqtt.Response{Code: mqtt.Content, Data: d.links(path)}, nil
	case r.Affordance == mqtt.Action:
		return g.execute(r, d, o, path)
	case r.Operation == mqtt.Get, r.Operation == mqtt.Observe:
		g.observed[r.Topic] = g.observed[r.Topic] || r.Operation == mqtt.Observe
		return g.read(r, d, o, path)
	case r.Operation == mqtt.Delete:
		if len(d.tree.Below(path)) == 0 {
			return mqtt.Fail(mqtt.NotFound, mqtt.Error{Code: "device.not-found", Message: "delete " + path.String(), Why: "the device does not have it"}), nil
		}
		d.drop(path)
		return &mqtt.Response{Code: mqtt.Deleted}, nil
	case r.Operation == mqtt.Cancel:
		delete(g.observed, r.Topic)
		return &mqtt.Response{Code: mqtt.Changed}, nil
	case r.Affordance == mqtt.Property:
		return g.write(r, d, o, path)
	}
	return g.create(r, d, o)
}

func (d *device) links(path lwm2m.Path) string {
	var links lwm2m.Links
	for _, r := range d.tree.Below(path) {
		if r.Path.Depth() >= 3 && r.Path.ResourceInstance() == 0 {
			links = append(links, lwm2m.LinkTo(r.Path.Truncate(3)))
		}
	}
	return links.String()
}

func (g *things) read(r *mqtt.Request, d *device, o *oma.Object, path lwm2m.Path) (*mqtt.Response, error) {
	if r.Affordance == mqtt.Property {
		resource, ok := o.Property(r.Name)
		if !ok {
			return nil, fmt.Errorf("%s has no %s", o.Name, r.Name)
		}
		path = path.Child(resource.ID)
		if n, ok := r.Element.Number(); ok {
			path = path.Child(n)
		}
		below := d.tree.Below(path)
		if len(below) == 0 {
			return mqtt.Fail(mqtt.NotFound, mqtt.Error{Code: "device.not-found", Message: "read " + path.String(), Why: "the device does not have it"}), nil
		}
		value := resource.Value(below)
		if path.Depth() == lwm2m.MaxDepth {
			value = oma.FromValue(below[0].Value)
		}
		return &mqtt.Response{Code: mqtt.Content, Objects: mqtt.One(r.Topic, value)}, nil
	}
	objects := mqtt.Objects{o.Name: {}}
	for _, in := range o.Instances(d.tree.Below(path)) {
		objects[o.Name] = append(objects[o.Name], mqtt.Instance{Label: in.Label, Properties: in.Properties})
	}
	return &mqtt.Response{Code: mqtt.Content, Objects: objects}, nil
}

func (g *things) write(r *mqtt.Request, d *device, o *oma.Object, path lwm2m.Path) (*mqtt.Response, error) {
	resource, ok := o.Property(r.Name)
	if !ok {
		return nil, fmt.Errorf("%s has no %s", o.Name, r.Name)
	}
	if n, ok := r.Element.Number(); ok {
		value, err := resource.ToValue(r.Data)
		if err != nil {
			return nil, err
		}
		at := path.Child(resource.ID).Child(n)
		d.put(lwm2m.Record{Path: at, Value: value})
		if at == lwm2m.MustParsePath("/19/0/0/0") {
			d.set("/19/0/0/1", lwm2m.Opaque([]byte(d.knobs.Answer(value.Text()))))
			if len(d.others) > 0 { // speak in between
				d.set("/19/0/0/0", lwm2m.Opaque([]byte(d.others[0])))
				d.set("/19/0/0/1", lwm2m.Opaque([]byte(d.knobs.Answer(d.others[0]))))
				d.others = d.others[1:]
			}
		}
		return &mqtt.Response{Code: mqtt.Changed}, nil
	}
	tree, err := resource.Tree(path.Instance(), r.Data)
	if err != nil {
		return nil, err
	}
	if r.Operation == mqtt.Put {
		d.drop(path.Child(resource.ID))
	}
	for _, record := range tree {
		d.put(record)
	}
	if o.ID == objectFirmware && resource.ID == firmwarePackage {
		d.firmwareArrived(tree[0].Value.Text())
	}
	if o.ID == objectSoftware && resource.ID == softwarePackage {
		d.packageArrived(path, tree[0].Value.Text())
	}
	return &mqtt.Response{Code: mqtt.Changed}, nil
}

func (g *things) create(r *mqtt.Request, d *device, o *oma.Object) (*mqtt.Response, error) {
	data, _ := r.Data.(map[string]any)
	label := uint16(0)
	if n, ok := data["label"].(int64); ok {
		label = uint16(n)
	} else {
		for len(d.tree.Below(lwm2m.PathOf(o.ID, label))) > 0 {
			label++
		}
	}
	properties, _ := data["sdfProperty"].(map[string]any)
	tree, err := o.Tree(label, properties)
	if err != nil {
		return nil, err
	}
	d.put(lwm2m.Record{Path: lwm2m.PathOf(o.ID, label)})
	for _, record := range tree {
		d.put(record)
	}
	if o.ID == objectSoftware {
		d.status(lwm2m.PathOf(o.ID, label), stateInitial, 0, false)
	}
	return &mqtt.Response{Code: mqtt.Created, Data: int64(label)}, nil
}

// status is the state machine's part of an instance of object 9.
func (d *device) status(at lwm2m.Path, state, result int64, active bool) {
	d.put(lwm2m.Record{Path: at.Child(softwareState), Value: lwm2m.Integer(state)})
	d.put(lwm2m.Record{Path: at.Child(softwareResult), Value: lwm2m.Integer(result)})
	d.put(lwm2m.Record{Path: at.Child(softwareActive), Value: lwm2m.Boolean(active)})
}

// packageArrived judges a package: the text "name version".
func (d *device) packageArrived(at lwm2m.Path, text string) {
	var name, version string
	d.drop(at.Child(softwarePackage))
	if _, err := fmt.Sscan(text, &name, &version); err != nil || d.refuse {
		d.status(at, stateInitial, 53, false)
		d.put(lwm2m.Record{Path: at.Child(softwareReason), Value: lwm2m.String("nobody that is trusted signed it")})
		return
	}
	d.put(lwm2m.Record{Path: at.Child(softwareName), Value: lwm2m.String(name)})
	d.put(lwm2m.Record{Path: at.Child(softwareVersion), Value: lwm2m.String(version)})
	d.status(at, stateDelivered, 3, false)
	if name == "slow" {
		d.status(at, 1, 1, false)
	}
}

func (g *things) execute(r *mqtt.Request, d *device, o *oma.Object, path lwm2m.Path) (*mqtt.Response, error) {
	action, ok := o.Action(r.Name)
	if !ok {
		return nil, fmt.Errorf("%s has no %s", o.Name, r.Name)
	}
	arguments, err := action.Arguments(r.Data)
	if err != nil {
		return nil, err
	}
	if o.ID == objectFirmware && action.ID == firmwareUpdate {
		d.updateFirmware()
		return &mqtt.Response{Code: mqtt.Changed}, nil
	}
	if o.ID != objectSoftware {
		d.set("/3/0/17", lwm2m.String(action.Name+" "+arguments))
		return &mqtt.Response{Code: mqtt.Changed}, nil
	}
	state, _ := d.tree.Value(path.Child(softwareState))
	usage := lwm2m.PathOf(objectMonitoring, path.Instance())
	switch {
	case action.ID == softwareInstall && d.text(path.Child(softwareName)) == "broken":
		d.status(path, stateDelivered, 58, false)
		d.put(lwm2m.Record{Path: path.Child(softwareReason), Value: lwm2m.String("it imports what nobody offers")})
		return mqtt.Fail(mqtt.Conflict, mqtt.Error{Code: "device.conflict", Message: "execute " + r.Topic.String(), Why: "the device refuses"}), nil
	case action.ID == softwareInstall && state.Integer() == stateDelivered:
		d.status(path, stateInstalled, 2, false)
	case action.ID == softwareActivate && state.Integer() == stateInstalled:
		d.status(path, stateInstalled, 2, true)
		d.put(lwm2m.Record{Path: usage.Child(monitoringPackage), Value: lwm2m.ObjectLink(objectSoftware, path.Instance())})
		d.put(lwm2m.Record{Path: usage.Child(monitoringCPU), Value: lwm2m.Float(12.25)})
		d.put(lwm2m.Record{Path: usage.Child(monitoringMemory), Value: lwm2m.Integer(96 << 10)})
		d.put(lwm2m.Record{Path: usage.Child(monitoringUptime), Value: lwm2m.Integer(61_400)})
	default:
		return mqtt.Fail(mqtt.NotAllowed, mqtt.Error{Code: "device.not-allowed", Message: "execute " + r.Topic.String(), Why: "the device does not allow it now"}), nil
	}
	return &mqtt.Response{Code: mqtt.Changed}, nil
}

func thingsOf(ts *testscript.TestScript) *things { return ts.Value(thingsKey{}).(*things) }

var temperature = mqtt.Topic{Thing: "sensor-1", Object: "Temperature", Label: mqtt.At(0), Affordance: mqtt.Property, Name: "Sensor_Value"}

// tell notifies a temperature.
func (g *things) tell(value float64) error {
	return mqtt.Notify(context.Background(), g.bus, &mqtt.Notification{Topic: temperature, Objects: mqtt.One(temperature, value), Time: then.Add(time.Minute)})
}

// heat is "heat VALUE": the temperature changes, and whoever observes it is told. It waits until somebody does.
func heat(ts *testscript.TestScript, _ bool, args []string) {
	g := thingsOf(ts)
	value, err := strconv.ParseFloat(args[0], 64)
	ts.Check(err)
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		g.mu.Lock()
		observed := g.observed[temperature]
		g.mu.Unlock()
		if observed {
			ts.Check(g.tell(value))
			return
		}
	}
	ts.Fatalf("nobody observes %s", temperature)
}

// distrust is "distrust DEVICE": it refuses packages from now on.
func distrust(ts *testscript.TestScript, _ bool, args []string) {
	g := thingsOf(ts)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.devices[args[0]].refuse = true
}
