package store

import (
	"fmt"
	"testing"
)

const fleet = 100_000

func registration(n int) []byte {
	return fmt.Appendf(nil, "127.0.%d.%d:5683 lt=86400 lwm2m=1.1 %0350d", n>>8&255, n&255, n)
}

func filled(b *testing.B) string {
	dir := b.TempDir()
	s, _, err := Open(dir, Options{})
	if err != nil {
		b.Fatal(err)
	}
	for n := range fleet {
		if _, err := s.Put(Registration, fmt.Sprintf("urn:dev:%08d", n), registration(n)); err != nil {
			b.Fatal(err)
		}
		if n%1000 == 0 {
			_ = s.Flush()
		}
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	return dir
}

// BenchmarkOpen bounds what of a gateway's restart is the store's: 100,000 registrations of 400 bytes.
func BenchmarkOpen(b *testing.B) {
	dir := filled(b)
	b.ReportAllocs()
	for b.Loop() {
		s, _, err := Open(dir, Options{})
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		if err := s.Each(Registration, func(_, _ []byte) error { n++; return nil }); err != nil || n != fleet {
			b.Fatal(n, err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPut bounds what a registration waits for in the store: nothing but memory.
func BenchmarkPut(b *testing.B) {
	s, _, err := Open(b.TempDir(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	value := registration(1)
	keys := make([]string, 1000)
	for i := range keys {
		keys[i] = fmt.Sprintf("urn:dev:%08d", i)
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if _, err := s.Put(Registration, keys[n%len(keys)], value); err != nil {
			b.Fatal(err)
		}
		if n++; n%1000 == 0 {
			if err := s.Flush(); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}
