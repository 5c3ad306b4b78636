package image

import (
	"bytes"
	"errors"
	"testing"
)

const pages = 3 * 65536

// kinds runs a test on every way of keeping an image.
func kinds(t *testing.T, test func(*testing.T, *Image)) {
	content := make([]byte, pages)
	copy(content[100:], "first page")
	copy(content[2*65536+5:], "third page")
	for name, make := range map[string]func() (*Image, error){
		"best":   func() (*Image, error) { return New(content) },
		"copied": func() (*Image, error) { return NewCopied(content), nil },
	} {
		t.Run(name, func(t *testing.T) {
			i, err := make()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := i.Close(); err != nil {
					t.Error(err)
				}
			})
			test(t, i)
		})
	}
}

func open(t *testing.T, i *Image, limit uint64) *Memory {
	t.Helper()
	m, err := i.Memory(limit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Free)
	if m.Reallocate(i.Size()) == nil {
		t.Fatal("the image's own size was refused")
	}
	return m
}

func TestMemoryStartsAsImage(t *testing.T) {
	kinds(t, func(t *testing.T, i *Image) {
		m := open(t, i, pages)
		if got := m.Bytes()[100:110]; string(got) != "first page" {
			t.Errorf("got %q", got)
		}
		if got := m.Bytes()[2*65536+5:][:10]; string(got) != "third page" {
			t.Errorf("got %q", got)
		}
	})
}

func TestResetPutsEveryByteBack(t *testing.T) {
	kinds(t, func(t *testing.T, i *Image) {
		m := open(t, i, pages)
		want := bytes.Clone(m.Bytes())
		for k := range m.Bytes() {
			m.Bytes()[k] ^= 0xa5
		}
		if err := m.Reset(); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(m.Bytes(), want) {
			t.Error("a byte survived the reset")
		}
	})
}

func TestMemoriesDoNotSeeEachOther(t *testing.T) {
	kinds(t, func(t *testing.T, i *Image) {
		a, b := open(t, i, pages), open(t, i, pages)
		a.Bytes()[100] = 'X'
		if b.Bytes()[100] != 'f' {
			t.Error("a write was seen by another memory")
		}
	})
}

func TestGrowthKeepsContentAndStopsAtLimit(t *testing.T) {
	kinds(t, func(t *testing.T, i *Image) {
		m := open(t, i, pages+65536)
		m.Bytes()[7] = 42
		if m.Grew() {
			t.Error("grew before it grew")
		}
		b := m.Reallocate(pages + 65536)
		if b == nil || b[7] != 42 || b[pages] != 0 {
			t.Fatal("growth lost content or brought dirt")
		}
		if !m.Grew() || m.Refused() {
			t.Errorf("grew %v, refused %v", m.Grew(), m.Refused())
		}
		if m.Reallocate(pages+65536+1) != nil || !m.Refused() {
			t.Error("grew past its limit")
		}
	})
}

func TestImageLargerThanLimitIsRefused(t *testing.T) {
	kinds(t, func(t *testing.T, i *Image) {
		if _, err := i.Memory(65536); !errors.Is(err, ErrLimit) {
			t.Errorf("got %v", err)
		}
	})
}

func TestEmptyImageGrowsFromNothing(t *testing.T) {
	i, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	m := open(t, i, 65536)
	if b := m.Reallocate(65536); len(b) != 65536 || b[65535] != 0 {
		t.Error("not a page of zeroes")
	}
	if err := m.Reset(); err != nil {
		t.Error(err)
	}
}

func BenchmarkReset28DirtyPages(b *testing.B) {
	i, _ := New(bytes.Repeat([]byte{1}, 32*65536))
	defer i.Close()
	m, _ := i.Memory(16 << 20)
	defer m.Free()
	m.Reallocate(i.Size())
	for b.Loop() {
		for p := range 28 {
			m.Bytes()[p*65536] = 2
		}
		if err := m.Reset(); err != nil {
			b.Fatal(err)
		}
	}
}
