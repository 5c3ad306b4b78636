package delta

import "testing"

// BenchmarkEncode and BenchmarkApply bound what a mirror spends on a delta and a node on using one; cmd/internal/bench has the
// figures for a real policy.
func BenchmarkEncode(b *testing.B) {
	base, target := versions(2 << 20)
	b.SetBytes(int64(len(target)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Encode(base, target); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkEncodeLean is described at BenchmarkEncode.
func BenchmarkEncodeLean(b *testing.B) {
	base, target := versions(2 << 20)
	b.SetBytes(int64(len(target)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := EncodeLean(base, target); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkApply is described at BenchmarkEncode.
func BenchmarkApply(b *testing.B) {
	base, target := versions(2 << 20)
	d, err := Encode(base, target)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(target)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Apply(base, d, int64(len(target))); err != nil {
			b.Fatal(err)
		}
	}
}
