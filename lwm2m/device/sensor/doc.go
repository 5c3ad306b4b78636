// Package sensor shows what a device measures as the IPSO objects 3303, Temperature, and 3304, Humidity. It reads what Linux has under
// /sys/class/hwmon and /sys/bus/iio, or a model where there is no sensor, whose Application Type then says "simulated". It neither
// averages nor stores: package runner's workloads do, and servers.
package sensor
