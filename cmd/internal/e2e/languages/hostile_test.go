package languages

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/edgehold/edgehold/plugins/toolchain"
	"github.com/edgehold/edgehold/wasmabi"
)

// Bytes that no host would send never end in a trap: a message with some bytes changed, taken out or put in. What the Go kit
// understands all of the same is understood alike by the others; they may pass over a wrong field that no policy asks for.
func TestWrongBytesDoNoHarm(t *testing.T) {
	reference := prepare(t, build(t, toolchain.Go))
	init := newInit(governor(), frequency(1, 8e8, 3.5e9))
	init.Knobs[1].Table = []float64{1e9, 2e9}
	init.Context = otherContext()
	init.Metrics[0].Labels = []wasmabi.Label{{Name: "core", Value: "ü"}}
	init.Features = []string{"wake-bounds"}
	good := [2][]byte{wasmabi.AppendInit(nil, init), wasmabi.AppendObservation(nil, observed(1, 0.95, 3))}
	for l := range projects {
		if l == toolchain.Go {
			continue
		}
		t.Run(string(l), func(t *testing.T) {
			m := prepare(t, build(t, l))
			rapid.Check(t, func(r *rapid.T) {
				bad := good
				which := rapid.IntRange(0, 1).Draw(r, "message")
				bad[which] = damage(r, good[which])
				want, got := episode(t, reference, bad[0], bad[1]), episode(t, m, bad[0], bad[1])
				if strings.Contains(got.Failure, ": call.") && !strings.Contains(got.Failure, ": call.request") {
					r.Fatalf("%x ends in %s", bad[which], got.Failure)
				}
				if strings.Contains(want.Failure, ": call.request") {
					return
				}
				if d := difference([]trace{got}, []trace{want}); d != "" {
					r.Fatalf("%x; in Go (+) it is otherwise:\n%s", bad[which], d)
				}
			})
		})
	}
}

func damage(r *rapid.T, b []byte) []byte {
	b = append([]byte(nil), b...)
	for range rapid.IntRange(1, 3).Draw(r, "times") {
		at := rapid.IntRange(0, len(b)-1).Draw(r, "at")
		switch rapid.IntRange(0, 3).Draw(r, "how") {
		case 0:
			b[at] = rapid.Byte().Draw(r, "byte")
		case 1:
			b[at] ^= 1 << rapid.IntRange(0, 7).Draw(r, "bit")
		case 2:
			b = append(b[:at+1], b[at:]...)
		default:
			b = append(b[:at], b[min(at+1, len(b)-1):]...)
		}
	}
	return b
}
