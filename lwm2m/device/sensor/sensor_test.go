package sensor

import (
	"errors"
	"math"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/client"
)

func text(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }

var machine = fstest.MapFS{
	"sys/class/hwmon/hwmon0/name":                               text("coretemp\n"),
	"sys/class/hwmon/hwmon0/temp1_input":                        text("45500\n"),
	"sys/class/hwmon/hwmon0/temp2_input":                        text("broken\n"),
	"sys/class/hwmon/hwmon1/humidity1_input":                    text("51200\n"),
	"sys/bus/iio/devices/iio:device0/name":                      text("hdc100x\n"),
	"sys/bus/iio/devices/iio:device0/in_temp_input":             text("-3250\n"),
	"sys/bus/iio/devices/iio:device0/in_humidityrelative_input": text("40000\n"),
}

func TestFind(t *testing.T) {
	for _, test := range []struct {
		object uint16
		want   map[string]float64
	}{
		{Temperature, map[string]float64{"hwmon coretemp temp1": 45.5, "iio hdc100x in_temp": -3.25}},
		{Humidity, map[string]float64{"hwmon hwmon1 humidity1": 51.2, "iio hdc100x in_humidityrelative": 40}},
	} {
		got := map[string]float64{}
		for _, s := range Find(machine, test.object) {
			v, err := s.Source.Read()
			if err != nil {
				t.Error(err)
			}
			got[s.Application] = math.Round(v*1e6) / 1e6
		}
		if diff := cmp.Diff(got, test.want); diff != "" {
			t.Error(diff)
		}
	}
}

// moving is a sensor in the hand of the test.
type moving struct {
	v   float64
	err error
}

func (m *moving) Read() (float64, error) { return m.v, m.err }

func TestObject(t *testing.T) {
	m := &moving{v: 20}
	o := NewObject(Temperature, Sensor{Source: m, Application: "test", Min: -40, Max: 85})
	var told []lwm2m.Path
	o.Announce(func(p lwm2m.Path) { told = append(told, p) })
	value := lwm2m.PathOf(Temperature, 0, resValue)
	if _, err := o.Read(nil, value); !errors.Is(err, client.ErrUnavailable) {
		t.Errorf("before the first sample: %v", err)
	}
	now := time.Unix(1_700_000_000, 0)
	for _, v := range []float64{20, 20, 25, 15} {
		m.v = v
		o.Sample(now)
	}
	m.err = errors.New("gone")
	o.Sample(now)
	read := func(resource uint16) string {
		tree, err := o.Read(nil, lwm2m.PathOf(Temperature, 0, resource))
		if err != nil || len(tree) != 1 {
			t.Fatal(tree, err)
		}
		return tree[0].Value.String()
	}
	for resource, want := range map[uint16]string{resValue: "15", resMinMeasured: "15", resMaxMeasured: "25", resMinRange: "-40", resMaxRange: "85",
		resUnits: `"Cel"`, resApplication: `"test"`, resTimestamp: "2023-11-14T22:13:20Z"} {
		if got := read(resource); got != want {
			t.Errorf("%d: got %s, want %s", resource, got, want)
		}
	}
	if len(told) != 3 {
		t.Errorf("told of %v", told)
	}
	if err := o.Execute(lwm2m.PathOf(Temperature, 0, resReset), ""); err != nil || read(resMaxMeasured) != "15" {
		t.Errorf("after a reset: %v, %s", err, read(resMaxMeasured))
	}
	use := lwm2m.PathOf(Temperature, 0, resApplication)
	if err := o.Write(use, lwm2m.Tree{{Path: use, Value: lwm2m.String("cellar")}}, client.Replace); err != nil || read(resApplication) != `"cellar"` {
		t.Errorf("what it is used for: %v, %s", err, read(resApplication))
	}
	if err := o.Write(value, lwm2m.Tree{{Path: value, Value: lwm2m.Float(1)}}, client.Replace); !errors.Is(err, client.ErrNotAllowed) {
		t.Errorf("writing a measurement: %v", err)
	}
	if v, ok := o.Property(value); !ok || v.Float() != 15 {
		t.Errorf("property %v", v)
	}
}

func TestSimulatedStaysInItsRange(t *testing.T) {
	at := time.Unix(0, 0)
	for _, object := range []uint16{Temperature, Humidity} {
		s := Simulated(object, func() time.Time { return at })[0]
		for range 1000 {
			at = at.Add(7 * time.Second)
			if v, err := s.Source.Read(); err != nil || v < s.Min || v > s.Max {
				t.Fatalf("%d: %v, %v", object, v, err)
			}
		}
		if s.Application != "simulated" {
			t.Error("it does not say that it is simulated")
		}
	}
}

// What a server calls a sensor outlives the device's program; a sensor that comes to stand in its place begins with its own name.
func TestApplicationTypeIsKept(t *testing.T) {
	store := client.Folder(t.TempDir())
	use := lwm2m.PathOf(Temperature, 0, resApplication)
	open := func(name string) *Object {
		o := NewObject(Temperature, Sensor{Source: &moving{}, Application: name})
		if err := o.Keep(store); err != nil {
			t.Fatal(err)
		}
		return o
	}
	called := func(o *Object) string {
		tree, err := o.Read(nil, use)
		if err != nil || len(tree) != 1 {
			t.Fatal(tree, err)
		}
		return tree[0].Value.Text()
	}
	o := open("a")
	if err := o.Write(use, lwm2m.Tree{{Path: use, Value: lwm2m.String("cellar")}}, client.Replace); err != nil {
		t.Fatal(err)
	}
	refused := lwm2m.Tree{{Path: use, Value: lwm2m.String("attic")}, {Path: lwm2m.PathOf(Temperature, 0, resValue), Value: lwm2m.Float(1)}}
	if err := o.Write(use.Truncate(2), refused, client.Replace); !errors.Is(err, client.ErrNotAllowed) || called(o) != "cellar" {
		t.Errorf("half a write: %v, %s", err, called(o))
	}
	for name, want := range map[string]string{"a": "cellar", "b": "b"} {
		if got := called(open(name)); got != want {
			t.Errorf("sensor %s is called %s", name, got)
		}
	}
	if err := store.Save("sensors-3303.json", []byte("{")); err != nil {
		t.Fatal(err)
	}
	if err := NewObject(Temperature, Sensor{Application: "a"}).Keep(store); err == nil {
		t.Error("damage is not told")
	}
}
