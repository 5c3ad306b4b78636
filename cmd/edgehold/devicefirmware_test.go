package main

import (
	"fmt"

	"github.com/edgehold/edgehold/lwm2m"
)

// firmwareStands is the state machine's part of object 5.
func (d *device) firmwareStands(state, result int64) {
	d.set("/5/0/3", lwm2m.Integer(state), "/5/0/5", lwm2m.Integer(result))
}

// firmwareArrived judges an image: the text "name version", or a zero byte, which means none.
func (d *device) firmwareArrived(text string) {
	d.drop(lwm2m.MustParsePath("/5/0/0"))
	var name, version string
	switch _, err := fmt.Sscan(text, &name, &version); {
	case text == "\x00":
		d.firmwareStands(firmwareIdle, 0)
	case err != nil:
		d.firmwareStands(firmwareIdle, 5)
	default:
		d.set("/5/0/6", lwm2m.String(name), "/5/0/7", lwm2m.String(version))
		d.firmwareStands(firmwareDownloaded, 0)
	}
}

// updateFirmware does what the image says.
func (d *device) updateFirmware() {
	switch d.text(lwm2m.MustParsePath("/5/0/6")) {
	case "broken":
		d.firmwareStands(firmwareIdle, 8)
	case "slow":
		d.firmwareStands(firmwareUpdating, 0)
	default:
		d.firmwareStands(firmwareIdle, firmwareSuccess)
	}
}
