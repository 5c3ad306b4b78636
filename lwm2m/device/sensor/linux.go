package sensor

import (
	"bytes"
	"fmt"
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"
)

// file is a sensor that the kernel shows as a number in a file.
type file struct {
	root fs.FS
	path string
	unit float64 // what one of the number is
}

// Read reads the file.
func (f file) Read() (float64, error) {
	b, err := fs.ReadFile(f.root, f.path)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(string(bytes.TrimSpace(b)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", f.path, err)
	}
	return float64(n) * f.unit, nil
}

// milli is the kernel's unit of temperatures and humidities (Documentation/hwmon/sysfs-interface.rst, Documentation/ABI/testing/sysfs-bus-iio).
const milli = 1e-3

// maxSensors bounds the sensors of one object.
const maxSensors = 16

// Find returns the sensors of an object that the kernel below root shows, hwmon's before those of IIO.
func Find(root fs.FS, object uint16) []Sensor {
	patterns := map[uint16][]string{
		Temperature: {"sys/class/hwmon/hwmon*/temp*_input", "sys/bus/iio/devices/iio:device*/in_temp_input"},
		Humidity:    {"sys/class/hwmon/hwmon*/humidity*_input", "sys/bus/iio/devices/iio:device*/in_humidityrelative_input"},
	}[object]
	var all []Sensor
	for _, pattern := range patterns {
		paths, _ := fs.Glob(root, pattern)
		for _, p := range paths {
			source := file{root, p, milli}
			if _, err := source.Read(); err == nil && len(all) < maxSensors {
				all = append(all, Sensor{Source: source, Application: name(root, p), Min: math.NaN(), Max: math.NaN()})
			}
		}
	}
	return all
}

// name is what a person knows a sensor by: "hwmon coretemp temp1".
func name(root fs.FS, p string) string {
	dir := path.Dir(p)
	chip, err := fs.ReadFile(root, path.Join(dir, "name"))
	if err != nil {
		chip = []byte(path.Base(dir))
	}
	bus := "iio"
	if strings.Contains(p, "/hwmon/") {
		bus = "hwmon"
	}
	return bus + " " + strings.TrimSpace(string(chip)) + " " + strings.TrimSuffix(path.Base(p), "_input")
}
