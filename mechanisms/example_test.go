package mechanisms_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/edgehold/edgehold/mechanisms"
	"github.com/edgehold/edgehold/mechanisms/drivertest"
)

// fan is about the smallest driver there can be: one dial, in a variable.
type fan struct{ rpm float64 }

func (f *fan) Describe() mechanisms.Description {
	return mechanisms.Description{Name: "Fan", Version: "1", Layer: "node", Summary: "speed of the fan", Verbs: []mechanisms.Verb{mechanisms.Set, mechanisms.Reset}}
}

func (f *fan) Knobs(context.Context) ([]mechanisms.Knob, error) {
	return []mechanisms.Knob{{Name: "speed", Summary: "how fast it turns", Kind: mechanisms.KindNumber, Unit: "1/min", Min: 0, Max: 3000, Step: 100, Driver: "variable"}}, nil
}

func (f *fan) Read(_ context.Context, knob string) (mechanisms.Value, error) {
	if knob != "speed" {
		return mechanisms.Value{}, errors.New("a fan has only a speed")
	}
	return mechanisms.Number(f.rpm), nil
}

func (f *fan) Write(_ context.Context, knob string, v mechanisms.Value) error {
	if knob != "speed" {
		return errors.New("a fan has only a speed")
	}
	f.rpm = v.Number
	return nil
}

func (f *fan) Order(_ map[string]mechanisms.Value, settings []mechanisms.Setting) []mechanisms.Setting {
	return settings
}

// A driver, the supervisor before it, a command, and the way back.
func Example() {
	dir, err := os.MkdirTemp("", "edgehold-example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	s, err := mechanisms.NewSupervisor(mechanisms.Config{Dir: dir, BootID: "example"})
	if err != nil {
		fmt.Println(err)
		return
	}
	f := &fan{rpm: 800}
	if err := s.Register(ctx, f); err != nil {
		fmt.Println(err)
		return
	}
	r, err := s.Apply(ctx, mechanisms.Command{Mechanism: "Fan", Verb: mechanisms.Set, Owner: "quiet-nights",
		Settings: []mechanisms.Setting{{Knob: "speed", Value: mechanisms.Number(540)}}})
	fmt.Println(r.Outcome, r.Changes[0].Effective, "because it is", r.Changes[0].Reason, err)
	s.Close(ctx)
	fmt.Println("afterwards", f.rpm)
	// Output:
	// clamped 500 because it is the nearest value that the hardware has <nil>
	// afterwards 800
}

func TestFanKeepsTheContract(t *testing.T) { drivertest.Run(t, &fan{rpm: 800}) }
