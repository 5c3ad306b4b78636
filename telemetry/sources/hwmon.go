package sources

import (
	"path/filepath"
	"strings"
	"time"

	"github.com/edgehold/edgehold/telemetry/ring"
)

// hwmonSource reads the inputs of /sys/class/hwmon (Documentation/hwmon/sysfs-interface.rst), INA226
// power rails among them. A chip is named after its driver and device, since the numbers of the
// folders change from boot to boot.
type hwmonSource struct{ host Host }

// hwmonInputs are the files NAMEn_input, by NAME.
var hwmonInputs = []struct {
	prefix, metric, unit, help string
	per                        float64
}{
	{"temp", "node_hwmon_temp_celsius", "Cel", "Temperature.", 1e3},
	{"in", "node_hwmon_in_volts", "V", "Voltage.", 1e3},
	{"curr", "node_hwmon_curr_amps", "A", "Current.", 1e3},
	{"power", "node_hwmon_power_watt", "W", "Power.", 1e6},
	{"energy", "node_hwmon_energy_joule_total", "J", "Energy used.", 1e6},
	{"fan", "node_hwmon_fan_rpm", "{revolution}/min", "Speed of the fan.", 1},
}

func (*hwmonSource) Describe() Description {
	d := Description{Name: "hwmon", Every: 2 * time.Second}
	for _, in := range hwmonInputs {
		kind := ring.Gauge
		if strings.HasSuffix(in.metric, "_total") {
			kind = ring.Counter
		}
		d.Metrics = append(d.Metrics, Metric{in.metric, kind, in.unit, in.help})
	}
	return d
}

func (s *hwmonSource) Collect(sink *Sink) error {
	chips, err := glob(s.host.sys("class/hwmon"), "hwmon[0-9]*")
	if err != nil {
		return err
	}
	for _, chip := range chips {
		name := ring.Label{Name: "chip", Value: chipName(chip)}
		for _, in := range hwmonInputs {
			files, _ := filepath.Glob(filepath.Join(chip, in.prefix+"[0-9]*_input")) // the pattern is well formed
			for _, file := range files {
				sensor := strings.TrimSuffix(filepath.Base(file), "_input")
				putNumber(sink, file, in.metric, in.per, name, ring.Label{Name: "sensor", Value: sensor})
			}
		}
	}
	return nil
}

// chipName is the driver's name with the device's, such as ina226_0-0040.
func chipName(chip string) string {
	name, err := readText(filepath.Join(chip, "name"))
	if err != nil || name == "" {
		name = filepath.Base(chip)
	}
	if device, err := filepath.EvalSymlinks(filepath.Join(chip, "device")); err == nil {
		name += "_" + filepath.Base(device)
	}
	return name
}
