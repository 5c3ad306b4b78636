package sign_test

import (
	"crypto/ed25519"
	"os"
	"path/filepath"
	"testing"

	"github.com/edgehold/edgehold/plugins/parcel"
	"github.com/edgehold/edgehold/plugins/sign"
)

// targetsKey reads the public key that a device pins.
func (w *world) targetsKey() ed25519.PublicKey {
	w.t.Helper()
	raw, err := os.ReadFile(filepath.Join(w.keys(), "targets"+sign.PublicSuffix))
	w.must(err)
	k, err := parcel.ParseKey(raw)
	w.must(err)
	return k
}

func (w *world) addWorkload(version, devices string) []byte {
	w.t.Helper()
	module := []byte("workload " + version)
	_, err := w.repo.Add(sign.Module{Name: "average", Version: version, Kind: "workload", Bytes: module, Devices: devices})
	w.must(err)
	return module
}

// One signature serves a node and a microcontroller: the node's metadata carries what the device checks.
func TestParcelOfANodesMetadata(t *testing.T) {
	w := newWorld(t, sign.InitOptions{})
	average := w.addWorkload("1.0.0", "")
	w.accept(w.published())
	packed, err := sign.Parcel(average, w.node.Files())
	w.must(err)
	h, got, err := parcel.Parse(packed)
	w.must(err)
	if string(got) != string(average) || h.Statement.Devices != "*" || h.Statement.Version != "1.0.0" {
		t.Errorf("got %+v", h.Statement)
	}
	trust := parcel.Trust{Keys: []ed25519.PublicKey{w.targetsKey()}, Device: "sensor-7"}
	w.must(trust.Check(h))

	again, err := w.repo.Parcel("average", "1.0.0")
	w.must(err)
	if string(again) != string(packed) {
		t.Error("the operator's folder gives another parcel")
	}
}

func TestCountersOfParcelsGoUp(t *testing.T) {
	w := newWorld(t, sign.InitOptions{})
	var last uint64
	for _, version := range []string{"1.0.0", "1.1.0", "0.9.0"} {
		w.addWorkload(version, "sensor-*")
		packed, err := w.repo.Parcel("average", version)
		w.must(err)
		h, _, err := parcel.Parse(packed)
		w.must(err)
		if h.Statement.Counter <= last || h.Statement.Devices != "sensor-*" {
			t.Errorf("%s: counter %d after %d, for %s", version, h.Statement.Counter, last, h.Statement.Devices)
		}
		last = h.Statement.Counter
	}
}

// Adding a module again changes nothing, unless it is for other devices now.
func TestAddAgainForOtherDevices(t *testing.T) {
	w := newWorld(t, sign.InitOptions{})
	read := func() parcel.Statement {
		packed, err := w.repo.Parcel("average", "1.0.0")
		w.must(err)
		h, _, err := parcel.Parse(packed)
		w.must(err)
		return h.Statement
	}
	w.addWorkload("1.0.0", "sensor-*")
	before := read()
	w.addWorkload("1.0.0", "sensor-*")
	if got := read(); got != before {
		t.Errorf("it was stated again: %+v", got)
	}
	w.addWorkload("1.0.0", "lamp-*")
	if got := read(); got.Devices != "lamp-*" || got.Counter <= before.Counter {
		t.Errorf("got %+v", got)
	}
}

func TestNoParcel(t *testing.T) {
	w := newWorld(t, sign.InitOptions{})
	w.accept(w.published())
	for name, test := range map[string]struct {
		module []byte
		trust  map[string][]byte
		want   string
	}{
		"of a policy":             {module("boost", "1.0.0"), w.node.Files(), sign.CodeNotListed},
		"of what nobody knows":    {[]byte("unknown"), w.node.Files(), sign.CodeNotListed},
		"without metadata":        {module("boost", "1.0.0"), nil, sign.CodeNoMetadata},
		"of metadata that is bad": {module("boost", "1.0.0"), map[string][]byte{"images/1.targets.json": []byte("{")}, sign.CodeMalformed},
	} {
		if _, err := sign.Parcel(test.module, test.trust); code(err) != test.want {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := w.repo.Parcel("boost", "2.0.0"); code(err) != sign.CodeUnknownTarget {
		t.Errorf("got %v", err)
	}
	if _, err := w.repo.Add(sign.Module{Name: "x", Version: "1.0.0", Kind: "workload", Bytes: []byte("x"), Devices: "[a"}); code(err) != sign.CodeBadName {
		t.Errorf("got %v", err)
	}
}
