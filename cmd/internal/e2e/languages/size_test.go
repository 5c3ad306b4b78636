package languages

import (
	"strconv"
	"testing"
	"time"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/plugins/toolchain"
	"github.com/edgehold/edgehold/wasmabi"
)

// most bounds the modules of the same policy in bytes, manifest included. What a call costs is measured by `make bench`.
var most = map[toolchain.Language]int{
	toolchain.Go:             3 << 20,
	toolchain.TinyGo:         128 << 10,
	toolchain.Rust:           21 << 10, // 18 with wasm-opt
	toolchain.C:              21 << 10, // 16 with wasm-opt
	toolchain.AssemblyScript: 40 << 10,
}

func TestModulesStaySmall(t *testing.T) {
	for l := range projects {
		t.Run(string(l), func(t *testing.T) {
			module := build(t, l)
			if len(module) > most[l] {
				t.Errorf("the module has %d bytes, more than %d", len(module), most[l])
			}
			m := prepare(t, module)
			t.Logf("%d bytes; %s", len(module), callCost(t, m))
		})
	}
}

// callCost tells what the calls of a pass cost, on a warm instance.
func callCost(t *testing.T, m *host.Module) string {
	s, err := m.Begin(t.Context(), host.SessionConfig{Time: time.Unix(1e9, 0)})
	must(t, err)
	defer s.Close()
	init := wasmabi.AppendInit(nil, newInit(frequencies(2)...))
	observation := wasmabi.AppendObservation(nil, observed(1, 0.95, 0))
	text := ""
	for _, c := range []struct {
		op      wasmabi.Op
		request []byte
	}{{wasmabi.OpInit, init}, {wasmabi.OpAnalyze, observation}, {wasmabi.OpPlan, observation}, {wasmabi.OpSnapshot, nil}} {
		const times = 1000
		start := time.Now()
		for range times {
			_, err := s.Call(t.Context(), c.op, c.request)
			must(t, err)
		}
		text += c.op.String() + " " + (time.Since(start) / times).String() + ", "
	}
	return text + "fuel of a snapshot " + strconv.FormatUint(s.Fuel(), 10)
}
