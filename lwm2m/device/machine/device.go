package machine

import (
	"cmp"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/client"
)

// Identity is what a device says of itself. Empty texts are left out.
type Identity struct {
	Manufacturer, Model, Serial string
	Firmware                    string // version
	Hardware, Software          string // versions
	Type                        string // words about what it can do, by convention of its servers
}

// DeviceConfig is what object 3 is made of.
type DeviceConfig struct {
	Identity
	Root    fs.FS            // has proc and sys; nil leaves memory out
	Battery Battery          // nil: mains
	Binding string           // transports, "U" if empty
	Reboot  func()           // runs a second after the Execute, so that the answer goes out; nil refuses it
	Reset   func() error     // Factory Reset; nil leaves it out
	Now     func() time.Time // nil is time.Now
}

// Resources of object 3.
const (
	deviceManufacturer = 0
	deviceModel        = 1
	deviceSerial       = 2
	deviceFirmware     = 3
	deviceReboot       = 4
	deviceReset        = 5
	devicePowerSources = 6
	deviceVoltage      = 7
	deviceBattery      = 9
	deviceMemoryFree   = 10
	deviceErrors       = 11
	deviceResetErrors  = 12
	deviceTime         = 13
	deviceUTCOffset    = 14
	deviceTimezone     = 15
	deviceBinding      = 16
	deviceType         = 17
	deviceHardware     = 18
	deviceSoftware     = 19
	deviceBatteryState = 20
	deviceMemoryTotal  = 21
)

// Power sources of resource 6.
const (
	powerDC      = 0
	powerBattery = 1
)

// ErrorCode is a value of resource 11.
type ErrorCode int64

// What object 3 has numbers for, as far as a Linux device finds out by itself.
const (
	LowBattery         ErrorCode = 1
	OutOfMemory        ErrorCode = 6
	ConnectionFailure  ErrorCode = 7
	PeripheralFailure  ErrorCode = 8
	maxErrors                    = 8
	timezoneBytes                = 64
	rebootAfterSeconds           = 1
)

// Device is object 3.
type Device struct {
	config     DeviceConfig
	definition client.Definition

	mu       sync.Mutex
	shift    time.Duration // of the device's clock, as a server has set it
	offset   string        // of local time, as a server has set it
	zone     string
	errors   []ErrorCode
	announce func(lwm2m.Path)
	reboot   *time.Timer
}

// NewDevice makes object 3.
func NewDevice(c DeviceConfig) *Device {
	if c.Now == nil {
		c.Now = time.Now
	}
	c.Binding = cmp.Or(c.Binding, "U")
	d := &Device{config: c, announce: func(lwm2m.Path) {}}
	d.definition = client.Definition{ID: 3, Version: lwm2m.V1_2, Resources: slices.DeleteFunc(deviceResources(), d.lacks)}
	return d
}

func deviceResources() []client.Resource {
	text, number := lwm2m.KindString, lwm2m.KindInteger
	return []client.Resource{
		{ID: deviceManufacturer, Name: "Manufacturer", Kind: text, Operations: client.Readable},
		{ID: deviceModel, Name: "Model Number", Kind: text, Operations: client.Readable},
		{ID: deviceSerial, Name: "Serial Number", Kind: text, Operations: client.Readable},
		{ID: deviceFirmware, Name: "Firmware Version", Kind: text, Operations: client.Readable},
		{ID: deviceReboot, Name: "Reboot", Operations: client.Executable, Mandatory: true},
		{ID: deviceReset, Name: "Factory Reset", Operations: client.Executable},
		{ID: devicePowerSources, Name: "Available Power Sources", Kind: number, Operations: client.Readable, Multiple: true},
		{ID: deviceVoltage, Name: "Power Source Voltage", Kind: number, Operations: client.Readable, Multiple: true, Sampled: true},
		{ID: deviceBattery, Name: "Battery Level", Kind: number, Operations: client.Readable, Sampled: true},
		{ID: deviceMemoryFree, Name: "Memory Free", Kind: number, Operations: client.Readable, Sampled: true},
		{ID: deviceErrors, Name: "Error Code", Kind: number, Operations: client.Readable, Multiple: true, Mandatory: true},
		{ID: deviceResetErrors, Name: "Reset Error Code", Operations: client.Executable},
		{ID: deviceTime, Name: "Current Time", Kind: lwm2m.KindTime, Operations: client.ReadWrite},
		{ID: deviceUTCOffset, Name: "UTC Offset", Kind: text, Operations: client.ReadWrite},
		{ID: deviceTimezone, Name: "Timezone", Kind: text, Operations: client.ReadWrite},
		{ID: deviceBinding, Name: "Supported Binding and Modes", Kind: text, Operations: client.Readable, Mandatory: true},
		{ID: deviceType, Name: "Device Type", Kind: text, Operations: client.Readable},
		{ID: deviceHardware, Name: "Hardware Version", Kind: text, Operations: client.Readable},
		{ID: deviceSoftware, Name: "Software Version", Kind: text, Operations: client.Readable},
		{ID: deviceBatteryState, Name: "Battery Status", Kind: number, Operations: client.Readable, Sampled: true},
		{ID: deviceMemoryTotal, Name: "Memory Total", Kind: number, Operations: client.Readable},
	}
}

// lacks tells whether this device has no such resource.
func (d *Device) lacks(r client.Resource) bool {
	switch r.ID {
	case deviceReset:
		return d.config.Reset == nil
	case deviceVoltage, deviceBattery, deviceBatteryState:
		return d.config.Battery == nil
	case deviceMemoryFree, deviceMemoryTotal:
		return d.config.Root == nil
	default:
		return r.Operations == client.Readable && r.Kind == lwm2m.KindString && d.text(r.ID) == ""
	}
}

// Definition implements client.Object.
func (d *Device) Definition() *client.Definition { return &d.definition }

// Instances implements client.Object.
func (d *Device) Instances(dst []uint16) []uint16 { return append(dst, 0) }

// Announce implements client.Announcer.
func (d *Device) Announce(changed func(lwm2m.Path)) { d.announce = changed }

// Read implements client.Object.
func (d *Device) Read(dst lwm2m.Tree, p lwm2m.Path) (lwm2m.Tree, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch p.Resource() {
	case devicePowerSources:
		return d.powerSources(dst, p), nil
	case deviceErrors:
		return d.errorCodes(dst, p), nil
	case deviceVoltage, deviceBattery, deviceBatteryState:
		return d.battery(dst, p)
	case deviceMemoryFree, deviceMemoryTotal:
		return d.memory(dst, p)
	case deviceTime:
		return one(dst, p, lwm2m.Time(d.now())), nil
	default:
		if text := d.text(p.Resource()); text != "" {
			return one(dst, p, lwm2m.String(text)), nil
		}
		return dst, nil
	}
}

func one(dst lwm2m.Tree, p lwm2m.Path, v lwm2m.Value) lwm2m.Tree {
	return append(dst, lwm2m.Record{Path: p, Value: v})
}

func (d *Device) now() time.Time { return d.config.Now().Add(d.shift) }

func (d *Device) text(resource uint16) string {
	switch resource {
	case deviceManufacturer:
		return d.config.Manufacturer
	case deviceModel:
		return d.config.Model
	case deviceSerial:
		return d.config.Serial
	case deviceFirmware:
		return d.config.Firmware
	case deviceHardware:
		return d.config.Hardware
	case deviceSoftware:
		return d.config.Software
	case deviceType:
		return d.config.Type
	case deviceBinding:
		return d.config.Binding
	case deviceUTCOffset:
		return cmp.Or(d.offset, d.now().Format("-07:00"))
	case deviceTimezone:
		return cmp.Or(d.zone, zoneName(d.now()))
	default:
		return ""
	}
}

// zoneName is the name of local time in the IANA database, or its abbreviation where the machine does not know.
func zoneName(now time.Time) string {
	if name := now.Location().String(); name != "Local" {
		return name
	}
	name, _ := now.Zone()
	return name
}

func (d *Device) powerSources(dst lwm2m.Tree, p lwm2m.Path) lwm2m.Tree {
	if d.config.Battery == nil {
		return one(dst, p.Child(0), lwm2m.Integer(powerDC))
	}
	return one(dst, p.Child(0), lwm2m.Integer(powerBattery))
}

func (d *Device) battery(dst lwm2m.Tree, p lwm2m.Path) (lwm2m.Tree, error) {
	b, err := d.config.Battery.Reading()
	if err != nil {
		return dst, err
	}
	switch {
	case p.Resource() == deviceBattery:
		return one(dst, p, lwm2m.Integer(b.Percent)), nil
	case p.Resource() == deviceBatteryState:
		return one(dst, p, lwm2m.Integer(int64(b.Status))), nil
	case b.MilliVolts == 0:
		return dst, nil
	default:
		return one(dst, p.Child(0), lwm2m.Integer(b.MilliVolts)), nil
	}
}

func (d *Device) memory(dst lwm2m.Tree, p lwm2m.Path) (lwm2m.Tree, error) {
	m, err := memory(d.config.Root)
	if err != nil {
		return dst, err
	}
	if p.Resource() == deviceMemoryTotal {
		return one(dst, p, lwm2m.Integer(m.TotalKiB)), nil
	}
	return one(dst, p, lwm2m.Integer(m.FreeKiB)), nil
}

// errorCodes: no error is a value of its own, 0, in instance 0.
func (d *Device) errorCodes(dst lwm2m.Tree, p lwm2m.Path) lwm2m.Tree {
	if len(d.errors) == 0 {
		return one(dst, p.Child(0), lwm2m.Integer(0))
	}
	for i, code := range d.errors {
		dst = one(dst, p.Child(uint16(i)), lwm2m.Integer(int64(code)))
	}
	return dst
}

// Raise adds an error, once.
func (d *Device) Raise(code ErrorCode) {
	d.mu.Lock()
	fresh := !slices.Contains(d.errors, code) && len(d.errors) < maxErrors
	if fresh {
		d.errors = append(d.errors, code)
	}
	d.mu.Unlock()
	if fresh {
		d.announce(lwm2m.PathOf(3, 0, deviceErrors))
	}
}

// Write implements client.Writer. The clock of the machine stays as it is: what a server sets is kept as its difference from that one.
func (d *Device) Write(_ lwm2m.Path, t lwm2m.Tree, _ client.WriteMode) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range t {
		if r.Value.Kind() == lwm2m.KindString && len(r.Value.Text()) > timezoneBytes {
			return fmt.Errorf("%s of %d bytes: %w", r.Path, len(r.Value.Text()), client.ErrBadRequest)
		}
		if r.Path.Resource() == deviceUTCOffset && !isOffset(r.Value.Text()) {
			return fmt.Errorf("%s %q, not as +01:00: %w", r.Path, r.Value.Text(), client.ErrBadRequest)
		}
	}
	for _, r := range t {
		switch r.Path.Resource() {
		case deviceTime:
			d.shift = r.Value.Time().Sub(d.config.Now())
		case deviceUTCOffset:
			d.offset = r.Value.Text()
		case deviceTimezone:
			d.zone = r.Value.Text()
		}
		d.announce(r.Path)
	}
	return nil
}

// isOffset tells whether a text is an offset of ISO 8601.
func isOffset(text string) bool {
	for _, layout := range []string{"Z07:00", "Z0700", "Z07"} {
		if _, err := time.Parse(layout, text); err == nil {
			return true
		}
	}
	return false
}

// Execute implements client.Executor.
func (d *Device) Execute(p lwm2m.Path, _ string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch p.Resource() {
	case deviceReboot:
		if d.config.Reboot == nil {
			return fmt.Errorf("reboot: this device is not set up to: %w", client.ErrNotAllowed)
		}
		if d.reboot == nil {
			d.reboot = time.AfterFunc(rebootAfterSeconds*time.Second, d.config.Reboot)
		}
	case deviceReset:
		return d.config.Reset()
	case deviceResetErrors:
		d.errors = nil
		d.announce(lwm2m.PathOf(3, 0, deviceErrors))
	}
	return nil
}

// Close calls a reboot off that is due.
func (d *Device) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.reboot != nil {
		d.reboot.Stop()
	}
}
