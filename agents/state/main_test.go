package state

import (
	"errors"
	"testing"

	"github.com/edgehold/edgehold/agents/state/crashtest"
)

func TestMain(m *testing.M) { crashtest.Main(m, crashChild) }

func open(t *testing.T, dir string, o Options) *DB {
	t.Helper()
	d, err := Open(t.Context(), dir, o)
	must(t, err)
	return d
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func accept(t *testing.T, d *DB, policy, version string) Version {
	t.Helper()
	v, err := d.Accept(t.Context(), Version{Policy: policy, Version: version, By: "ann"}, module(policy, version))
	must(t, err)
	return v
}

func module(policy, version string) []byte { return []byte("\x00asm" + policy + version) }

func code(err error) string {
	var c interface{ ErrorCode() string }
	if errors.As(err, &c) {
		return c.ErrorCode()
	}
	return ""
}
