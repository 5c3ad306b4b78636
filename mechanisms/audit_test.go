package mechanisms

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func newAudit(t *testing.T, maxBytes int64) *audit {
	return &audit{dir: t.TempDir(), maxBytes: maxBytes, now: func() time.Time { return time.Unix(1, 0).UTC() }}
}

func (a *audit) fill(t testing.TB, n int) {
	t.Helper()
	for range n {
		if err := a.append(&Event{Kind: EventCommand, Reason: strings.Repeat("x", 100)}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAuditChainsAcrossRotation(t *testing.T) {
	a := newAudit(t, 2000)
	a.fill(t, 50)
	var last uint64
	n, err := VerifyAudit(a.dir, func(e Event) error { last = e.Seq; return nil })
	if err != nil || last != 50 || n >= 50 || n < 5 {
		t.Errorf("%d events, last %d, %v", n, last, err)
	}
	var size int64
	files, _ := filepath.Glob(filepath.Join(a.dir, "audit*.jsonl"))
	for _, f := range files {
		info, _ := os.Stat(f)
		size += info.Size()
	}
	if len(files) != 2 || size > 2*2000+1000 {
		t.Errorf("%d files of %d bytes", len(files), size)
	}
}

func TestAuditFindsTampering(t *testing.T) {
	for _, tc := range []struct {
		name string
		edit func([]byte) []byte
	}{
		{"a changed word", func(b []byte) []byte { return bytes.Replace(b, []byte("xxx"), []byte("xyx"), 1) }},
		{"a line cut out", func(b []byte) []byte {
			lines := bytes.SplitAfter(b, []byte("\n"))
			return bytes.Join(append(lines[:2:2], lines[3:]...), nil)
		}},
		{"two lines swapped", func(b []byte) []byte {
			lines := bytes.SplitAfter(b, []byte("\n"))
			lines[1], lines[2] = lines[2], lines[1]
			return bytes.Join(lines, nil)
		}},
		{"not JSON", func(b []byte) []byte { return append(b, "hello\n"...) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := newAudit(t, 1<<20)
			a.fill(t, 5)
			name := filepath.Join(a.dir, auditFile)
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			touch(t, name, string(tc.edit(b)))
			if n, err := VerifyAudit(a.dir, nil); err == nil {
				t.Errorf("%d events verified", n)
			}
		})
	}
}

func TestAuditMendsTornLine(t *testing.T) {
	a := newAudit(t, 1<<20)
	a.fill(t, 3)
	name := filepath.Join(a.dir, auditFile)
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	touch(t, name, string(b[:len(b)-40]))
	a.fill(t, 1)
	var kinds []string
	n, err := VerifyAudit(a.dir, func(e Event) error { kinds = append(kinds, e.Kind); return nil })
	if err != nil || n != 4 || kinds[2] != eventRepaired {
		t.Errorf("%d events %v, %v", n, kinds, err)
	}
}

func BenchmarkAuditAppend(b *testing.B) {
	a := &audit{dir: b.TempDir(), maxBytes: 8 << 20, now: time.Now}
	e := &Event{Kind: EventCommand, Reason: "benchmark"}
	b.ReportAllocs()
	for b.Loop() {
		if err := a.append(e); err != nil {
			b.Fatal(err)
		}
	}
}
