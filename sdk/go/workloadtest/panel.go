package workloadtest

import (
	"encoding/binary"

	"github.com/edgehold/edgehold/wasmabi"
)

// panel is what a workload can ask of its device: properties and knobs, each by its place.
type panel struct {
	properties [][]byte // nil where there is no such sensor
	knobs      []string
}

// Call answers as a device does; see wasmabi.HandleDevice.
func (p *panel) Call(op uint32, in []byte) (wasmabi.Status, []byte) {
	if len(in) < 4 {
		return wasmabi.StatusInvalid, nil
	}
	place, value := int(binary.LittleEndian.Uint32(in)), string(in[4:])
	switch {
	case op == wasmabi.HandleDeviceRead && place < len(p.properties) && p.properties[place] != nil:
		return wasmabi.StatusOK, p.properties[place]
	case op == wasmabi.HandleDeviceRead && place < len(p.properties):
		return wasmabi.StatusHost, wasmabi.AppendError(nil, &wasmabi.Error{Code: wasmabi.CodeFailed, Message: "the device has no such sensor"})
	case op == wasmabi.HandleKnobGet && place < len(p.knobs):
		return wasmabi.StatusOK, []byte(p.knobs[place])
	case op == wasmabi.HandleKnobSet && place < len(p.knobs):
		p.knobs[place] = value
		return wasmabi.StatusOK, nil
	}
	return wasmabi.StatusInvalid, nil
}
