package device

import (
	"testing"

	"github.com/edgehold/edgehold/lwm2m/client"
	"github.com/edgehold/edgehold/lwm2m/client/clienttest"
	"github.com/edgehold/edgehold/lwm2m/device/knob"
	"github.com/edgehold/edgehold/lwm2m/device/route"
	"github.com/edgehold/edgehold/lwm2m/device/sensor"
	"github.com/edgehold/edgehold/lwm2m/device/software"
)

// What the objects say of themselves agrees with OMA's definitions, and with ours of 35001 and 35002.
func TestObjectsAreAsDefined(t *testing.T) {
	panel, err := knob.NewPanel()
	if err != nil {
		t.Fatal(err)
	}
	routes, err := route.NewObject(route.New(route.Config{}), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []client.Object{new(software.Manager), software.NewMonitor(nil), knob.NewShell(panel), routes,
		sensor.NewObject(sensor.Temperature), sensor.NewObject(sensor.Humidity)} {
		clienttest.Definition(t, o.Definition())
	}
}
