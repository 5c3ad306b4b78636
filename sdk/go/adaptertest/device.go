package adaptertest

import (
	"bytes"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/edgehold/edgehold/sdk/go/adapter"
	"github.com/edgehold/edgehold/wasmabi"
)

// Device is an adapter with what it may reach.
type Device struct {
	t       testing.TB
	make    func() adapter.Adapter
	init    wasmabi.Init
	handles []func(op uint32, in []byte) (wasmabi.Status, []byte)
	down    bool
}

// New makes a device whose adapter make returns, a fresh one for each operation.
func New(t testing.TB, make func() adapter.Adapter) *Device {
	return &Device{t: t, make: make, init: wasmabi.Init{Policy: "test", Version: "0.0.0", Asset: "test-node", Layer: wasmabi.LayerNode, Scope: wasmabi.ScopeNode}}
}

// Parameter sets a parameter.
func (d *Device) Parameter(name string, v float64) {
	d.init.ParameterNames = append(d.init.ParameterNames, name)
	d.init.Parameters = append(d.init.Parameters, v)
}

func (d *Device) grant(c wasmabi.CapabilityRequest, f func(op uint32, in []byte) (wasmabi.Status, []byte)) {
	d.init.Capabilities = append(d.init.Capabilities, c)
	d.handles = append(d.handles, f)
}

// HTTP grants a capability whose only host is answered by h.
func (d *Device) HTTP(name, host string, h http.Handler) {
	d.grant(wasmabi.CapabilityRequest{Name: name, Kind: wasmabi.CapabilityHTTP, Hosts: []string{host}}, func(_ uint32, in []byte) (wasmabi.Status, []byte) {
		var m wasmabi.HTTPRequest
		if err := wasmabi.DecodeHTTPRequest(in, &m); err != nil {
			return refuse(wasmabi.StatusInvalid, wasmabi.CodeFailed, err.Error())
		}
		if d.down {
			return refuse(wasmabi.StatusHost, wasmabi.CodeUnreached, "no answer")
		}
		r := httptest.NewRequest(m.Method, m.URL, bytes.NewReader(m.Body))
		if r.Host != host {
			return refuse(wasmabi.StatusDenied, wasmabi.CodeNotGranted, r.Host+" is not granted")
		}
		for _, l := range m.Header {
			r.Header.Add(l.Name, l.Value)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		response := wasmabi.HTTPResponse{Status: uint32(w.Code), Body: w.Body.Bytes()}
		for _, name := range slices.Sorted(maps.Keys(w.Header())) {
			response.Header = append(response.Header, wasmabi.Label{Name: strings.ToLower(name), Value: w.Header().Get(name)})
		}
		return wasmabi.StatusOK, wasmabi.AppendHTTPResponse(nil, &response)
	})
}

// Files grants files whose paths match, below root instead of /.
func (d *Device) Files(name, root string, patterns ...string) {
	d.grant(wasmabi.CapabilityRequest{Name: name, Kind: wasmabi.CapabilityFile, Paths: patterns, Write: true}, func(op uint32, in []byte) (wasmabi.Status, []byte) {
		var m wasmabi.File
		if err := wasmabi.DecodeFile(in, &m); err != nil {
			return refuse(wasmabi.StatusInvalid, wasmabi.CodeFailed, err.Error())
		}
		full := filepath.Join(root, filepath.FromSlash(m.Path))
		if op == wasmabi.HandleFileList {
			found, err := filepath.Glob(full)
			for i := range found {
				found[i] = filepath.ToSlash(strings.TrimPrefix(found[i], filepath.Clean(root)))
			}
			return answer(wasmabi.AppendNames(nil, &wasmabi.Names{Names: found}), err)
		}
		if !slices.ContainsFunc(patterns, func(p string) bool { ok, _ := path.Match(p, m.Path); return ok }) {
			return refuse(wasmabi.StatusDenied, wasmabi.CodeNotGranted, m.Path+" is not granted")
		}
		if op == wasmabi.HandleFileRead {
			return answer(os.ReadFile(full))
		}
		if _, err := os.Stat(full); err != nil {
			return answer(nil, err)
		}
		return answer(nil, os.WriteFile(full, m.Data, 0o644))
	})
}

// KV grants an empty store, which the device keeps.
func (d *Device) KV(name string) {
	items := map[string][]byte{}
	d.grant(wasmabi.CapabilityRequest{Name: name, Kind: wasmabi.CapabilityKV}, func(op uint32, in []byte) (wasmabi.Status, []byte) {
		var m wasmabi.Item
		if err := wasmabi.DecodeItem(in, &m); err != nil {
			return refuse(wasmabi.StatusInvalid, wasmabi.CodeFailed, err.Error())
		}
		switch op {
		case wasmabi.HandleKVSet:
			items[m.Key] = m.Value
		case wasmabi.HandleKVDelete:
			delete(items, m.Key)
		default:
			v, ok := items[m.Key]
			if !ok {
				return refuse(wasmabi.StatusHost, wasmabi.CodeNotFound, "there is no such key")
			}
			return wasmabi.StatusOK, v
		}
		return wasmabi.StatusOK, nil
	})
}

// Down has the device's HTTP capabilities not answer, or answer again.
func (d *Device) Down(down bool) { d.down = down }

func answer(b []byte, err error) (wasmabi.Status, []byte) {
	switch {
	case err == nil:
		return wasmabi.StatusOK, b
	case os.IsNotExist(err):
		return refuse(wasmabi.StatusHost, wasmabi.CodeNotFound, err.Error())
	}
	return refuse(wasmabi.StatusHost, wasmabi.CodeFailed, err.Error())
}

func refuse(s wasmabi.Status, code, message string) (wasmabi.Status, []byte) {
	return s, wasmabi.AppendError(nil, &wasmabi.Error{Code: code, Message: message})
}

// Call implements adapter.Host.
func (d *Device) Call(handle, op uint32, in []byte) (wasmabi.Status, []byte) {
	if uint64(handle) >= uint64(len(d.handles)) {
		return wasmabi.StatusDenied, nil
	}
	return d.handles[handle](op, in)
}

// operation runs one operation on a fresh adapter, as the host does.
func (d *Device) operation(op wasmabi.Op, request []byte) ([]byte, error) {
	i := adapter.NewInstance(d.make()).On(d)
	for _, c := range []struct {
		op      wasmabi.Op
		request []byte
	}{{wasmabi.OpInit, wasmabi.AppendInit(nil, &d.init)}, {op, request}} {
		status, out := i.Call(c.op, c.request)
		if status == wasmabi.StatusOK {
			if c.op == op {
				return out, nil
			}
			continue
		}
		e := new(wasmabi.Error)
		if err := wasmabi.DecodeError(out, e); err != nil || e.Message == "" {
			e = &wasmabi.Error{Code: "adaptertest." + status.String(), Message: c.op.String() + " answers " + status.String()}
		}
		return nil, e
	}
	return nil, nil
}

// Knobs lists the knobs; a failure fails the test.
func (d *Device) Knobs() []wasmabi.KnobOption {
	d.t.Helper()
	out, err := d.operation(wasmabi.OpOptions, nil)
	var m wasmabi.Options
	if err == nil {
		err = wasmabi.DecodeOptions(out, &m)
	}
	if err != nil {
		d.t.Fatalf("list knobs: %v", err)
	}
	return m.Knobs
}

// Read reads a knob.
func (d *Device) Read(knob string) (adapter.Value, error) {
	d.t.Helper()
	out, err := d.operation(wasmabi.OpState, wasmabi.AppendNames(nil, &wasmabi.Names{Names: []string{knob}}))
	if err != nil {
		return adapter.Value{}, err
	}
	var m wasmabi.Readings
	if err := wasmabi.DecodeReadings(out, &m); err != nil || len(m.Readings) != 1 {
		d.t.Fatalf("read %s: %d readings, %v", knob, len(m.Readings), err)
	}
	r := m.Readings[0]
	if r.Problem != "" {
		return adapter.Value{}, &wasmabi.Error{Code: "adapter.failed", Message: r.Problem, Retryable: r.Away}
	}
	if r.Choice != "" {
		return adapter.Choice(r.Choice), nil
	}
	return adapter.Number(r.Number), nil
}

// WantRead fails the test unless a knob reads as v.
func (d *Device) WantRead(knob string, v adapter.Value) {
	d.t.Helper()
	if got, err := d.Read(knob); err != nil || got != v {
		d.t.Errorf("%s reads %+v, %v; want %+v", knob, got, err, v)
	}
}

// Write sets a knob.
func (d *Device) Write(knob string, v adapter.Value) error { return d.set(wasmabi.OpApply, knob, v) }

// Revert puts a knob back to an old value, as the host does: by Write where the adapter has no way of its own.
func (d *Device) Revert(knob string, v adapter.Value) error {
	if _, ok := d.make().(adapter.Reverter); !ok {
		return d.Write(knob, v)
	}
	return d.set(wasmabi.OpRevert, knob, v)
}

func (d *Device) set(op wasmabi.Op, knob string, v adapter.Value) error {
	_, err := d.operation(op, settings(knob, v))
	return err
}

func settings(knob string, v adapter.Value) []byte {
	s := wasmabi.KnobSetting{Knob: knob, Number: v.Number, Choice: v.Choice}
	if v.Choice != "" {
		s.Number = math.NaN()
	}
	return wasmabi.AppendSettings(nil, &wasmabi.Settings{Settings: []wasmabi.KnobSetting{s}})
}
