package host

import (
	"testing"
	"time"
)

// BenchmarkCallGo bounds the cost of the boundary with every limit and counter on: 1 KiB in, 200 bytes out.
func BenchmarkCallGo(b *testing.B) {
	r := newRuntime(b, Config{CacheDir: testCache(b)})
	m := prepare(b, r, reference(b))
	s, err := m.Begin(b.Context(), SessionConfig{Time: time.Unix(1, 0)})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	in := make([]byte, 1024)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Call(b.Context(), opEcho, in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEpisodeGo(b *testing.B) {
	r := newRuntime(b, Config{CacheDir: testCache(b)})
	m := prepare(b, r, reference(b))
	in := make([]byte, 1024)
	b.ReportAllocs()
	for b.Loop() {
		s, err := m.Begin(b.Context(), SessionConfig{Time: time.Unix(1, 0)})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := s.Call(b.Context(), opEcho, in); err != nil {
			b.Fatal(err)
		}
		s.Close()
	}
}

func BenchmarkClock(b *testing.B) {
	t := time.Now()
	for b.Loop() {
		_ = time.Since(t)
	}
}
