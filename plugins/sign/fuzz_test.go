package sign_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/edgehold/edgehold/plugins/sign"
)

// FuzzUpdate serves a node whatever it asks for, one file of it by the fuzzer. The node must neither fall over nor take in
// what was not signed.
func FuzzUpdate(f *testing.F) {
	dir := f.TempDir()
	repo, _, err := sign.Init(dir, sign.InitOptions{Keys: filepath.Join(dir, "private"), Now: func() time.Time { return start }})
	if err != nil {
		f.Fatal(err)
	}
	if _, err := repo.Add(sign.Module{Name: "boost", Version: "1.0.0", Bytes: module("boost", "1.0.0")}); err != nil {
		f.Fatal(err)
	}
	if err := repo.Assign(nodeName, []sign.Wanted{{Name: "boost", Version: "1.0.0"}}); err != nil {
		f.Fatal(err)
	}
	served := files(f, repo.Published())
	pin, err := os.ReadFile(repo.PinPath())
	if err != nil {
		f.Fatal(err)
	}
	names := []string{"images/timestamp.json", "images/2.snapshot.json", "images/2.targets.json", "images/2.root.json", "director/2.root.json",
		"director/" + nodeName + "/timestamp.json", "director/" + nodeName + "/1.targets.json"}
	for i, name := range names {
		f.Add(uint8(i), served[name])
		f.Add(uint8(i), served["images/1.root.json"])
	}
	f.Add(uint8(0), []byte(`{"signatures":[{"keyid":null,"sig":null}],"signed":{"_type":"timestamp","meta":{"snapshot.json":null}}}`))
	f.Add(uint8(2), []byte(`{"signatures":[],"signed":{"_type":"targets","targets":{"a/1.wasm":null},"edgehold":[]}}`))
	f.Add(uint8(3), []byte(`{"signatures":[],"signed":{"_type":"root","keys":{"a":null},"roles":{"root":null}}}`))
	state := f.TempDir()
	f.Fuzz(func(t *testing.T, which uint8, content []byte) {
		if err := os.RemoveAll(filepath.Join(state, "trusted.json")); err != nil {
			t.Fatal(err)
		}
		node, err := sign.Open(state, pin, sign.Options{Node: nodeName, Now: func() time.Time { return start }})
		if err != nil {
			t.Fatal(err)
		}
		name := names[int(which)%len(names)]
		hostile := with(served, sign.Files{name: content}, name)
		_ = node.Update(context.Background(), sign.Under(hostile, sign.ImagesFolder), sign.Under(hostile, sign.DirectorFolder))
		for _, role := range node.Status().Images {
			if role.Version > 2 {
				t.Errorf("believes version %d of %s, which nobody signed", role.Version, role.Role)
			}
		}
		if _, err := node.Verify(digest("boost", "2.0.0"), 20); err == nil {
			t.Error("vouches for what nobody signed")
		}
	})
}

// FuzzDocument parses what was not verified yet. go-tuf's parser panics on holes in targets.
func FuzzDocument(f *testing.F) {
	f.Fuzz(func(t *testing.T, raw []byte, role uint8) {
		err := sign.ReadDocument(raw, sign.Roles[int(role)%len(sign.Roles)])
		if err != nil && sign.Code(err) != sign.CodeMalformed {
			t.Errorf("got %v", err)
		}
	})
}

// FuzzFiles reads what people bring along: pins, what is to be signed, keys.
func FuzzFiles(f *testing.F) {
	dir := f.TempDir()
	repo, _, err := sign.Init(dir, sign.InitOptions{Keys: filepath.Join(dir, "private"), Now: func() time.Time { return start }})
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range []string{repo.PinPath(), filepath.Join(dir, "private", "targets.key"), filepath.Join(dir, "private", "targets.pub")} {
		raw, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte(`{"documents":[null]}`))
	f.Add([]byte(`{"documents":[{"repository":"images","role":"root","version":1,"signed":{"_type":"root"}}]}`))
	path := filepath.Join(dir, "k.key")
	f.Fuzz(func(t *testing.T, raw []byte) {
		if p, err := sign.ParsePin(raw); err == nil {
			if again, err := p.Bytes(); err != nil {
				t.Errorf("a pin that can't be written: %v", err)
			} else if _, err := sign.ParsePin(again); err != nil {
				t.Errorf("a pin that is not read again: %v", err)
			}
		}
		if c, err := sign.ParseCeremony(raw); err == nil {
			if _, err := c.Summary(); err != nil {
				t.Errorf("a ceremony that can't be shown: %v", err)
			}
		}
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		if k, err := sign.LoadKey(path); err == nil && len(k.Public().ID()) != 64 {
			t.Errorf("a key without an identity: %q", k.Name)
		}
	})
}
