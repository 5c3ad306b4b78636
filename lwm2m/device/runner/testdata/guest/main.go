// Command guest is a workload that does what its input says, the worst included.
package main

import "github.com/edgehold/edgehold/sdk/go/workload"

// What the input "do" orders.
const (
	count = iota
	panics
	loops
	fails
	reads
	steals
	turns
	turnsOther
	grows
	tickFast
	emitsTooMuch
)

type guest struct {
	in, text            workload.Input
	count, echo         workload.Output
	temperature, secret workload.Property
	power, interval     workload.Knob
	step, n             float64
	kept                [][]byte
}

func init() { workload.Register(&guest{}) }

func main() {}

func (g *guest) Start(s *workload.Setup) error {
	g.in, g.text = s.Input("do"), s.Input("text")
	g.count, g.echo = s.Output("count"), s.Output("echo")
	g.temperature, g.secret = s.Property("temperature"), s.Property("key")
	g.power, g.interval = s.Knob("TX_PWR"), s.Knob("SAMPLE_INTERVAL")
	g.step = s.Parameter("step")
	return nil
}

func (g *guest) Input(t *workload.Turn, v workload.Value) error {
	if v.Input == g.text {
		t.EmitBytes(g.echo, v.Bytes)
		return nil
	}
	switch int(v.Number) {
	case count:
		g.n += g.step
		t.Emit(g.count, g.n)
	case panics:
		panic("as ordered")
	case loops:
		for {
			g.n++
		}
	case fails:
		return workload.Error("as ordered")
	case reads:
		v, err := g.temperature.Number()
		t.Emit(g.count, v)
		return err
	case steals:
		_, err := g.secret.Bytes()
		return err
	case turns:
		return g.power.Set("LOW")
	case turnsOther:
		return g.interval.Set("1")
	case grows:
		for {
			g.kept = append(g.kept, make([]byte, 64<<10))
		}
	case tickFast:
		t.Next(1)
	case emitsTooMuch:
		for range 100 {
			t.Emit(g.count, 1)
		}
	}
	return nil
}

func (g *guest) Tick(t *workload.Turn) error {
	g.n++
	t.Emit(g.count, g.n)
	return nil
}

func (g *guest) Stop(t *workload.Turn) error {
	t.Emit(g.count, -1)
	return nil
}
