package delta

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// versions are two contents that differ in a few places, as two builds do.
func versions(n int) (base, target []byte) {
	r := rand.New(rand.NewPCG(1, 2))
	base = make([]byte, n)
	for i := range base {
		base[i] = byte(r.Uint32())
	}
	target = bytes.Clone(base)
	for range 20 {
		target[r.IntN(n)]++
	}
	return base, append(target[:n/2], append([]byte("one line more"), target[n/2:]...)...)
}

func TestRoundTrip(t *testing.T) {
	for _, n := range []int{1, 100, 70_000, 1 << 20} {
		base, target := versions(n)
		for name, encode := range map[string]func(base, target []byte) ([]byte, error){"best": Encode, "lean": EncodeLean} {
			d, err := encode(base, target)
			if err != nil {
				t.Fatal(err)
			}
			got, err := Apply(base, d, int64(len(target)))
			if err != nil || !bytes.Equal(got, target) {
				t.Errorf("%d bytes, %s: %v", n, name, err)
			}
			if n > 50_000 && len(d) > n/50 {
				t.Errorf("%d bytes, %s: the delta has %d", n, name, len(d))
			}
		}
	}
}

func TestBadDeltas(t *testing.T) {
	base, target := versions(50_000)
	d, err := Encode(base, target)
	if err != nil {
		t.Fatal(err)
	}
	length := int64(len(target))
	for _, tt := range []struct {
		name        string
		base, delta []byte
		length      int64
	}{
		{"cut", base, d[:len(d)/2], length},
		{"empty", base, nil, length},
		{"longer than announced", base, d, length - 1},
		{"shorter than announced", base, d, length + 1},
		{"something behind it", base, append(bytes.Clone(d), "rubbish"...), length},
		{"no base", nil, d, length},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := Apply(tt.base, tt.delta, tt.length); !errors.Is(err, ErrDamaged) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
	for _, length := range []int64{-1, MaxBytes + 1} {
		if _, err := Apply(base, d, length); err == nil {
			t.Errorf("a length of %d was taken", length)
		}
	}
}

// What we write is what zstd's own program reads, where there is one.
func TestZstdReadsIt(t *testing.T) {
	program, err := exec.LookPath("zstd")
	if err != nil {
		t.Skip("needs the program zstd")
	}
	base, target := versions(200_000)
	d, err := Encode(base, target)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, content := range map[string][]byte{"base": base, "delta": d} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := exec.Command(program, "-d", "-c", "--patch-from="+filepath.Join(dir, "base"), filepath.Join(dir, "delta")).Output()
	if err != nil || !bytes.Equal(got, target) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func FuzzApply(f *testing.F) {
	base, target := versions(500)
	d, err := Encode(base, target)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(d, int64(len(target)))
	f.Add(d[:20], int64(0))
	f.Fuzz(func(t *testing.T, d []byte, length int64) {
		if out, err := Apply(base, d, length%(1<<20)); err == nil && int64(len(out)) != length%(1<<20) {
			t.Errorf("%d bytes in place of %d", len(out), length)
		}
	})
}
