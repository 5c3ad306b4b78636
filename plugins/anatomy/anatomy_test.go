package anatomy

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// section writes a section.
func section(id byte, content string) string {
	return string([]byte{id, byte(len(content))}) + content
}

func text(s string) string { return string([]byte{byte(len(s))}) + s }

// sample has an import, two functions with names, an export and producers.
func sample(secondBody string) string {
	return magic +
		section(1, "\x01\x60\x00\x00") +
		section(2, "\x01"+text("edgehold1")+text("log")+"\x00\x00") +
		section(3, "\x02\x00\x00") +
		section(7, "\x01"+text("edgehold_call")+"\x00\x01") +
		section(10, "\x02"+text("\x00\x0b")+text(secondBody)) +
		section(0, text("name")+section(1, "\x03\x00"+text("log")+"\x01"+text("first")+"\x02"+text("second"))) +
		section(0, text("producers")+"\x02"+text("language")+"\x01"+text("Rust")+text("2024")+text("processed-by")+"\x01"+text("rustc")+text("1.90.0"))
}

func TestRead(t *testing.T) {
	m, err := Read([]byte(sample("\x00\x0b")))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m.Imports, []Import{{"edgehold1", "log", "function"}}); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(m.Exports, []Export{{"edgehold_call", "function"}}); diff != "" {
		t.Error(diff)
	}
	if len(m.Functions) != 2 || m.Functions[0].Name != "first" || m.Functions[1].Name != "second" || m.Functions[1].Bytes != 2 {
		t.Errorf("%+v", m.Functions)
	}
	if got := m.Toolchain(); got != "Rust 2024 (rustc 1.90.0)" {
		t.Errorf("toolchain %q", got)
	}
}

func TestCompare(t *testing.T) {
	a, err := Read([]byte(sample("\x00\x0b")))
	if err != nil {
		t.Fatal(err)
	}
	b, err := Read([]byte(sample("\x00\x01\x0b")))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Compare(a, b), Difference{Changed: []string{"second"}, Same: 1}); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(Compare(a, a), Difference{Same: 2}); diff != "" {
		t.Error(diff)
	}
	b.Functions[1].Name = "third"
	if diff := cmp.Diff(Compare(a, b), Difference{Added: []string{"third"}, Removed: []string{"second"}, Same: 1}); diff != "" {
		t.Error(diff)
	}
}

func TestDamage(t *testing.T) {
	whole := sample("\x00\x0b")
	for n := range len(whole) {
		_, err := Read([]byte(whole[:n]))
		if err != nil && !errors.Is(err, ErrDamaged) {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
	if _, err := Read([]byte("\x00asm\x0d\x00\x01\x00")); !errors.Is(err, ErrDamaged) {
		t.Errorf("a component: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(sample("\x00\x0b")))
	f.Fuzz(func(t *testing.T, module []byte) {
		if m, err := Read(module); err == nil {
			m.Toolchain()
			if d := Compare(m, m); len(d.Added)+len(d.Removed)+d.Unnamed > 0 {
				t.Errorf("a module differs from itself: %+v", d)
			}
		}
	})
}
