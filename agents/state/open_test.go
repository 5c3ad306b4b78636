package state

import (
	"context"
	"os"
	"testing"
)

func TestOpenAcceptRecover(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	d, err := Open(ctx, dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	v, err := d.Accept(ctx, Version{Policy: "a", Version: "1", By: "me"}, []byte("mod1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Activate(ctx, "a", v.Digest); err != nil {
		t.Fatal(err)
	}
	v2, _ := d.Accept(ctx, Version{Policy: "a", Version: "2", By: "me"}, []byte("mod2"))
	if err := d.Activate(ctx, "a", v2.Digest); err != nil {
		t.Fatal(err)
	}
	p, err := d.Rollback(ctx, "a")
	t.Log(p, err)
	vs, err := d.Versions(ctx, "a")
	t.Log(vs, err)
	d.Contexts().Save("a", "node", 1, []byte("x"))
	for i := 0; i < 3; i++ {
		if err := d.Audit(ctx, Entry{Actor: "me", Action: "x"}); err != nil {
			t.Fatal(err)
		}
	}
	t.Log(d.VerifyAudit(ctx))
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	os.Remove(dir + "/edgehold.db")
	d, err = Open(ctx, dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Log(d.Report())
	t.Log(d.Policy(ctx, "a"))
	d.Close()
	os.WriteFile(dir+"/edgehold.db", []byte("garbage garbage garbage"), 0o600)
	d, err = Open(ctx, dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Log(d.Report())
	t.Log(d.Policy(ctx, "a"))
	d.Close()
}
