package store

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sample makes a store of one log and returns its file, and after which of its bytes which records are there.
func sample(t *testing.T) (log []byte, ends []int, want []map[string]string) {
	t.Helper()
	dir := t.TempDir()
	s, _ := open(t, dir, Options{})
	now := map[string]string{}
	ends, want = []int{len(fileMagic)}, []map[string]string{{}}
	step := func(key, value string) {
		if value == "" {
			_, err := s.Delete(Registration, key)
			must(t, err)
			delete(now, key)
		} else {
			put(t, s, Registration, key, value)
			now[key] = value
		}
		must(t, s.Flush())
		copied := make(map[string]string)
		for k, v := range now {
			copied[k] = v
		}
		_, size := s.Bytes()
		ends, want = append(ends, int(size)), append(want, copied)
	}
	step("a", "first")
	step("b", strings.Repeat("long", 20))
	step("a", "second")
	step("b", "")
	step("c", "third")
	must(t, s.Close())
	return files(t, dir)["00000001.log"], ends, want
}

func TestTornAtEveryByte(t *testing.T) {
	for name, next := range map[string][]byte{"in the last log": nil, "when the next log was made": {}, "when the next log had its head": []byte(fileMagic)} {
		t.Run(name, func(t *testing.T) { tornAtEveryByte(t, next) })
	}
}

func tornAtEveryByte(t *testing.T, next []byte) {
	log, ends, want := sample(t)
	for size := range len(log) + 1 {
		dir := t.TempDir()
		left := map[string][]byte{"00000001.log": log[:size]}
		if next != nil {
			left["00000002.log"] = next
		}
		fill(t, dir, left)
		s, r := open(t, dir, Options{})
		whole := 0
		for i, end := range ends {
			if size >= end {
				whole = i
			}
		}
		expect(t, s, Registration, want[whole])
		if torn := max(size-ends[whole], 0); len(r.Damaged) > 0 || (size >= ends[0] && int(r.Torn) != torn) {
			t.Errorf("cut at %d: report %+v, want %d torn", size, r, torn)
		}
		put(t, s, Registration, "after", "the crash")
		must(t, s.Close())
		s, r = open(t, dir, Options{})
		if r.Torn != 0 || content(t, s, Registration)["after"] != "the crash" {
			t.Errorf("cut at %d: what came after is lost: %+v", size, r)
		}
		must(t, s.Close())
	}
}

func TestDamageInTheMiddle(t *testing.T) {
	log, ends, _ := sample(t)
	for at := range ends[4] { // all before the last record
		bad := bytes.Clone(log)
		bad[at] ^= 0x40
		dir := t.TempDir()
		fill(t, dir, map[string][]byte{"00000001.log": bad})
		s, r, err := Open(dir, Options{})
		if at == len(fileMagic)-1 { // looks like a later version
			if code(err) != "lwm2m-store.version" {
				t.Errorf("a later version: %v", err)
			}
			continue
		}
		must(t, err)
		if len(r.Damaged) != 1 || r.Damaged[0].Offset > int64(at) || r.Damaged[0].Offset+r.Damaged[0].Length <= int64(at) {
			t.Errorf("damage at %d: report %+v", at, r)
		}
		if got := content(t, s, Registration)["c"]; got != "third" {
			t.Errorf("damage at %d: what stands behind it is lost", at)
		}
		before := content(t, s, Registration)
		must(t, s.Compact())
		expect(t, s, Registration, before)
		must(t, s.Close())
		if kept := files(t, dir)["00000001.log.damaged"]; !bytes.Equal(kept, bad) {
			t.Errorf("damage at %d: the file is not set aside: %v", at, names(files(t, dir)))
		}
		s, r = open(t, dir, Options{})
		if len(r.Damaged) > 0 {
			t.Errorf("damage at %d is there after compaction: %+v", at, r)
		}
		expect(t, s, Registration, before)
		must(t, s.Close())
	}
}

func TestFilesThatAreSetAsideAreFew(t *testing.T) {
	log, ends, _ := sample(t)
	dir := t.TempDir()
	for n := range 8 {
		bad := bytes.Clone(log)
		bad[ends[1]-1] ^= 1
		name := fmt.Sprintf("%08d.log", 100+n*10)
		fill(t, dir, map[string][]byte{name: bad})
		s, _ := open(t, dir, Options{})
		must(t, s.Compact())
		must(t, s.Close())
	}
	kept, err := filepath.Glob(filepath.Join(dir, "*"+damagedSuffix))
	must(t, err)
	if len(kept) != maxDamaged {
		t.Errorf("%d files are set aside", len(kept))
	}
}

func TestLaterVersionIsRefused(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, map[string][]byte{"00000001.log": []byte("EHLWM2M\x02whatever")})
	before := files(t, dir)
	if _, _, err := Open(dir, Options{}); code(err) != "lwm2m-store.version" {
		t.Errorf("a later version: %v", err)
	}
	if diff := cmp.Diff(before, files(t, dir)); diff != "" {
		t.Errorf("it was changed:\n%s", diff)
	}
}

// A crash in the middle of a compaction leaves one of these folders.
func TestCrashInCompaction(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, dir, Options{SegmentBytes: 64})
	want := map[string]string{}
	for i := range 10 {
		key := fmt.Sprint("k", i%4)
		want[key] = fmt.Sprint("value ", i)
		m := put(t, s, Registration, key, want[key])
		must(t, s.Wait(t.Context(), m))
	}
	_, err := s.Delete(Registration, "k1")
	must(t, err)
	delete(want, "k1")
	must(t, s.Flush())
	logs := files(t, dir)
	must(t, s.Compact())
	put(t, s, Registration, "late", "x")
	must(t, s.Close())
	done := files(t, dir)
	snap := ""
	for name := range done {
		if strings.HasSuffix(name, snapshotSuffix) {
			snap = name
		}
	}
	with := func(also map[string][]byte) map[string][]byte {
		all := map[string][]byte{}
		for name, b := range also {
			all[name] = b
		}
		return all
	}
	unfinished := with(logs)
	unfinished[snap+tempSuffix] = done[snap][:len(done[snap])/2]
	both := with(logs)
	both[snap] = done[snap]
	some := with(done)
	for name, b := range logs {
		if len(some) < 4 {
			some[name] = b
		}
	}
	wantLate := map[string]string{"late": "x"}
	for k, v := range want {
		wantLate[k] = v
	}
	for name, tc := range map[string]struct {
		files map[string][]byte
		want  map[string]string
	}{
		"before":              {logs, want},
		"in the snapshot":     {unfinished, want},
		"before any removal":  {both, want},
		"between the removal": {some, wantLate},
		"after":               {done, wantLate},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			fill(t, dir, tc.files)
			s, r := open(t, dir, Options{})
			expect(t, s, Registration, tc.want)
			if r.Torn != 0 || len(r.Damaged) > 0 {
				t.Errorf("report %+v", r)
			}
			must(t, s.Close())
			for name := range files(t, dir) {
				if strings.HasSuffix(name, tempSuffix) {
					t.Errorf("%s was left", name)
				}
			}
		})
	}
}

func TestWhatTheDiskCannotTakeIsTriedAgain(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, dir, Options{})
	good := s.active.file
	readOnly, err := os.Open(good.Name())
	must(t, err)
	s.active.file = readOnly
	m := put(t, s, Registration, "k", "v")
	for range 3 {
		if err := s.Wait(t.Context(), m); code(err) != "lwm2m-store.failed" {
			t.Fatalf("written to a file that takes nothing: %v", err)
		}
		m = put(t, s, Registration, "k", "newer")
		if v, _, err := s.Get(Registration, "k"); err != nil || string(v) != "newer" {
			t.Errorf("got %q, %v", v, err)
		}
	}
	s.active.file = good
	must(t, s.Wait(t.Context(), m))
	must(t, readOnly.Close())
	expect(t, s, Registration, map[string]string{"k": "newer"})
	must(t, s.Close())
}

// After a failed flush nobody knows what the disk has, so nothing is called durable any more.
func TestFailedFlushEndsDurability(t *testing.T) {
	s, _ := open(t, t.TempDir(), Options{})
	m := put(t, s, Registration, "k", "v")
	cause := s.fail(failed("flush", os.ErrInvalid))
	if err := s.Wait(t.Context(), m); err != cause {
		t.Errorf("wait: %v", err)
	}
	if _, err := s.Put(Registration, "k", nil); err != cause {
		t.Errorf("put: %v", err)
	}
	if err := s.Close(); err == nil {
		t.Error("closed as if all were well")
	}
}

func FuzzOpen(f *testing.F) {
	f.Add([]byte(fileMagic))
	f.Add(append([]byte(fileMagic), appendRecord(nil, record{kind: Session, key: []byte("k"), value: []byte("v")})...))
	f.Add(append([]byte(fileMagic), 0xe5, 0xb1, 0, 0, 0, 0, 0, 0x40, 0, 0, 4, 0, 1))
	f.Fuzz(func(t *testing.T, log []byte) {
		dir := t.TempDir()
		fill(t, dir, map[string][]byte{"00000001.log": log})
		s, r, err := Open(dir, Options{})
		if err != nil {
			return
		}
		n := 0
		for k := range Kind(tombstone) {
			n += s.Len(k)
		}
		if n != r.Records {
			t.Errorf("%d records, reported %d", n, r.Records)
		}
		put(t, s, Registration, "new", "value")
		must(t, s.Close())
		s, _ = open(t, dir, Options{})
		if v, _, err := s.Get(Registration, "new"); err != nil || string(v) != "value" {
			t.Errorf("got %q, %v", v, err)
		}
		must(t, s.Close())
	})
}
