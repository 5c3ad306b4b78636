package machine

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
)

// Battery tells the charge of the device's battery.
type Battery interface {
	// Reading is the present state; ErrNoBattery when the device has none.
	Reading() (BatteryReading, error)
}

// BatteryStatus is resource 20 of the Device object.
type BatteryStatus int64

const (
	BatteryNormal BatteryStatus = iota
	BatteryCharging
	BatteryCharged
	BatteryLow
	BatteryMissing
	BatteryUnknown
)

// BatteryReading is one look at a battery.
type BatteryReading struct {
	Percent    int64
	MilliVolts int64 // 0 if unknown
	Status     BatteryStatus
}

// ErrNoBattery says that there is no battery to ask.
var ErrNoBattery = errors.New("no battery")

// PowerSupply is the first battery of /sys/class/power_supply.
type PowerSupply struct{ Root fs.FS }

// Reading reads sys/class/power_supply below the root.
func (p PowerSupply) Reading() (BatteryReading, error) {
	const folder = "sys/class/power_supply"
	supplies, err := fs.ReadDir(p.Root, folder)
	if errors.Is(err, fs.ErrNotExist) {
		return BatteryReading{}, ErrNoBattery
	}
	if err != nil {
		return BatteryReading{}, fmt.Errorf("read battery: %w", err)
	}
	for _, s := range supplies {
		dir := path.Join(folder, s.Name())
		if p.text(dir, "type") == "Battery" && p.text(dir, "scope") != "Device" { // a scope of Device is a mouse's
			return p.battery(dir), nil
		}
	}
	return BatteryReading{}, ErrNoBattery
}

func (p PowerSupply) battery(dir string) BatteryReading {
	r := BatteryReading{
		Percent:    min(max(firstNumber([]byte(p.text(dir, "capacity"))), 0), 100),
		MilliVolts: firstNumber([]byte(p.text(dir, "voltage_now"))) / 1000, // microvolts
	}
	switch p.text(dir, "status") {
	case "Charging":
		r.Status = BatteryCharging
	case "Full":
		r.Status = BatteryCharged
	case "Discharging", "Not charging":
		if r.Status = BatteryNormal; r.Percent <= 10 {
			r.Status = BatteryLow
		}
	default:
		r.Status = BatteryUnknown
	}
	return r
}

func (p PowerSupply) text(dir, file string) string {
	b, err := fs.ReadFile(p.Root, path.Join(dir, file))
	if err != nil {
		return ""
	}
	return string(bytes.TrimSpace(b))
}
