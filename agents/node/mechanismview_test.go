package node

import (
	"testing"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/mechanisms"
)

func TestNumbersComeInTheUnitOfTheirKnob(t *testing.T) {
	options := []mechanisms.Knob{
		{Name: "led", Kind: mechanisms.KindNumber, Unit: "1"}, {Name: "bare", Kind: mechanisms.KindNumber}, {Name: "clock", Kind: mechanisms.KindNumber, Unit: "Hz"},
	}
	n := 8.0
	for _, c := range []struct {
		knob, unit string
		fits       bool
	}{{"led", "", true}, {"led", "1", true}, {"led", "W", false}, {"bare", "", true}, {"clock", "Hz", true}, {"clock", "", false}, {"clock", "1", false}} {
		_, err := setting(api.Setting{Knob: c.knob, Unit: c.unit, Value: api.Value{Number: &n}}, options, mechanisms.Set)
		if (err == nil) != c.fits || err != nil && codeOf(err) != "mechanism.unit" {
			t.Errorf("%s in %q: %v", c.knob, c.unit, err)
		}
	}
}
