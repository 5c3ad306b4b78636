package cpufreq_test

import (
	"os"
	"testing"

	"github.com/edgehold/edgehold/mechanisms"
	"github.com/edgehold/edgehold/mechanisms/cpufreq/trees"
)

// diskDir is on a real disk, where an fsync costs what it costs.
func diskDir(b *testing.B) string {
	b.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "edgehold-bench")
	if err != nil {
		b.Skip("needs /var/tmp: ", err)
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func benchSupervisor(b *testing.B) *mechanisms.Supervisor {
	b.Helper()
	root := b.TempDir()
	if err := trees.Write(root, "acpi-cpufreq"); err != nil {
		b.Fatal(err)
	}
	return supervise(b, root, mechanisms.Config{Dir: diskDir(b), Envelope: mechanisms.Envelope{Rules: []mechanisms.Rule{{Every: 1, Burst: 1000}}}})
}

// BenchmarkApply is a whole command for two policies on plain files, once the old values are known: checked, leased,
// written, read back, audited.
func BenchmarkApply(b *testing.B) {
	s := benchSupervisor(b)
	c := set(mechanisms.Setting{Knob: "all/max_frequency", Value: mechanisms.Number(1.2e9)})
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		c.Settings[0].Value.Number = []float64{1.2e9, 1.8e9}[i%2]
		if _, err := s.Apply(b.Context(), c); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFirstApply is the first command after a release: its old values are made durable before the write.
func BenchmarkFirstApply(b *testing.B) {
	s := benchSupervisor(b)
	c := set(mechanisms.Setting{Knob: "all/max_frequency", Value: mechanisms.Number(1.2e9)})
	for b.Loop() {
		if _, err := s.Apply(b.Context(), c); err != nil {
			b.Fatal(err)
		}
		s.RevertAll(b.Context(), "benchmark")
	}
}
