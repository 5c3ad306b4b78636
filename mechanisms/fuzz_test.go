package mechanisms

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func FuzzUnseal(f *testing.F) {
	good, err := seal(journalBody{Format: stateFormat, BootID: "b", Entries: []Baseline{{Mechanism: "Rack", Knob: "a", Value: Number(10)}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(bytes.Replace(good, []byte("10"), []byte("11"), 1))
	f.Add([]byte(`{"sha256":"","body":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var body journalBody
		if err := unseal(data, &body); err != nil {
			return
		}
		again, err := seal(body)
		if err != nil {
			t.Fatalf("accepted what can't be written: %v", err)
		}
		var body2 journalBody
		if err := unseal(again, &body2); err != nil {
			t.Fatalf("not read back: %v", err)
		}
	})
}

// FuzzStateFolder starts a supervisor on hostile files: it may complain and may not panic, and it may never write a knob
// to anything but a value that the journal names.
func FuzzStateFolder(f *testing.F) {
	lease := leaseBody{Format: stateFormat, BootID: "boot-1", Leases: leases{Next: 1, List: []*Lease{{ID: "lease-1", Mechanism: "Rack", Owner: "p", Deadline: 1 << 50, Holds: []Hold{{Knob: "a", Wanted: Number(50)}}}}}}
	entry := journalBody{Format: stateFormat, BootID: "boot-1", Entries: []Baseline{{Mechanism: "Rack", Driver: "rack-v1", Knob: "a", Value: Number(10)}}}
	j, _ := json.Marshal(entry)
	l, _ := json.Marshal(lease)
	f.Add(j, l, []byte("{}\n"))
	f.Add(j, []byte(`{"format":1,"boot_id":"boot-1","leases":{"list":[null]}}`), []byte(""))
	f.Fuzz(func(t *testing.T, journal, leases, audit []byte) {
		dir := t.TempDir()
		for name, body := range map[string][]byte{journalFile: journal, leaseFile: leases} {
			sealed := body
			if json.Valid(body) {
				sealed, _ = seal(json.RawMessage(body))
			}
			os.WriteFile(filepath.Join(dir, name), sealed, 0o600)
		}
		os.WriteFile(filepath.Join(dir, auditFile), audit, 0o600)
		s, err := NewSupervisor(Config{Dir: dir, BootID: "boot-1", Clock: &hand{up: time.Hour}})
		if err != nil {
			return
		}
		defer s.Abandon()
		if err := s.Register(t.Context(), newRack()); err != nil {
			t.Fatal(err)
		}
		s.RevertAll(t.Context(), "end")
	})
}

func FuzzValueJSON(f *testing.F) {
	for _, s := range []string{"1", `"max"`, "1e300", "null", `""`, "-0.5", "[]"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var v, again Value
		if json.Unmarshal(data, &v) != nil {
			return
		}
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatalf("%+v can't be written: %v", v, err)
		}
		if err := json.Unmarshal(b, &again); err != nil || again != v {
			t.Fatalf("%q became %+v, then %s, then %+v (%v)", data, v, b, again, err)
		}
	})
}

func FuzzVerifyAudit(f *testing.F) {
	f.Add([]byte("{\"hash\":\"\",\"record\":{}}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		a := newAudit(t, 1<<20)
		os.WriteFile(filepath.Join(a.dir, auditFile), data, 0o600)
		a.append(&Event{Kind: EventCommand})
		VerifyAudit(a.dir, nil)
	})
}
