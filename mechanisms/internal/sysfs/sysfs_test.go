package sysfs

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func open(t testing.TB) (*Dir, string) {
	t.Helper()
	root := t.TempDir()
	d, err := Open(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d, root
}

func TestHostileContents(t *testing.T) {
	d, root := open(t)
	for _, tc := range []struct {
		name, content, want string
		bad                 bool
	}{
		{name: "plain", content: "1800000\n", want: "1800000"},
		{name: "no newline", content: "1800000", want: "1800000"},
		{name: "empty", content: "", want: ""},
		{name: "rest of a longer value", content: "ondemand\ntive\n", want: "ondemand"},
		{name: "a page", content: strings.Repeat("x", 4095) + "\n", want: strings.Repeat("x", 4095)},
		{name: "huge", content: strings.Repeat("x", 1<<20), bad: true},
		{name: "binary", content: "\x00\x01\x02", bad: true},
		{name: "escape sequence", content: "\x1b[2Jboo\n", bad: true},
		{name: "not UTF-8", content: "\xff\xfe\n", bad: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := os.WriteFile(filepath.Join(root, "attr"), []byte(tc.content), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := d.Read("attr")
			if (err != nil) != tc.bad || got != tc.want {
				t.Errorf("got %.20q, %v", got, err)
			}
		})
	}
}

func TestLinksDoNotLeadOut(t *testing.T) {
	d, root := open(t)
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte("old\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	os.Mkdir(filepath.Join(root, "policy0"), 0o700)
	os.WriteFile(filepath.Join(root, "policy0", "attr"), []byte("in\n"), 0o600)
	os.Symlink(outside, filepath.Join(root, "absolute"))
	os.Symlink("../../../../../../../.."+outside, filepath.Join(root, "relative"))
	os.Symlink("policy0", filepath.Join(root, "inside"))
	for _, name := range []string{"absolute", "relative", "../" + filepath.Base(filepath.Dir(outside)) + "/secret", outside} {
		if got, err := d.Read(name); err == nil {
			t.Errorf("%s reads %q", name, got)
		}
		if err := d.Write(name, "new"); err == nil {
			t.Errorf("%s can be written", name)
		}
	}
	if got, err := d.Read("inside/attr"); err != nil || got != "in" {
		t.Errorf("a link within the root: %q, %v", got, err)
	}
}

func TestOnlyRegularFiles(t *testing.T) {
	d, root := open(t)
	if err := syscall.Mkfifo(filepath.Join(root, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Read("pipe"); err == nil {
		t.Error("a pipe was read")
	}
	if _, err := d.Read("."); err == nil {
		t.Error("a directory was read")
	}
}

func TestWriteNeverCreates(t *testing.T) {
	d, root := open(t)
	if err := d.Write("absent", "1"); err == nil {
		t.Error("no error")
	}
	if _, err := os.Stat(filepath.Join(root, "absent")); err == nil {
		t.Error("the file is there now")
	}
	for _, bad := range []string{"a\nb", "a\x00", "\x1b"} {
		if err := d.Write("absent", bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestWriteReplacesLongerValue(t *testing.T) {
	d, root := open(t)
	name := filepath.Join(root, "attr")
	os.WriteFile(name, []byte("conservative\n"), 0o600)
	if err := d.Write("attr", "ondemand"); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(name); string(b) != "ondemand\n" {
		t.Errorf("got %q", b)
	}
}

func TestParseCPUs(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want []int
		bad  bool
	}{
		{in: "0-3", want: []int{0, 1, 2, 3}},
		{in: "0 1 2", want: []int{0, 1, 2}},
		{in: "5,0-1", want: []int{0, 1, 5}},
		{in: "", want: nil},
		{in: "3-1", bad: true},
		{in: "0-99999999", bad: true},
		{in: "a", bad: true},
		{in: "-1", bad: true},
	} {
		got, err := ParseCPUs(tc.in)
		if (err != nil) != tc.bad || (!tc.bad && !slices.Equal(got, tc.want)) {
			t.Errorf("%q: got %v, %v", tc.in, got, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"0-3", "0 1 2", "299999 399999", "<unsupported>", "18446744073709551616", "0-65535,0-65535"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if cpus, err := ParseCPUs(s); err == nil && (!slices.IsSorted(cpus) || len(cpus) > maxCPU+1) {
			t.Errorf("CPUs %q: %d of them", s, len(cpus))
		}
		line, err := firstLine([]byte(s))
		if err == nil && strings.ContainsAny(line, "\n\x00\x1b") {
			t.Errorf("line %q of %q", line, s)
		}
	})
}
