// Package machine shows the machine that a device runs on as LwM2M objects: 3 (Device), 4 (Connectivity Monitoring) and 7 (Connectivity
// Statistics). It reads what Linux has under /proc and /sys below a root that is a value; where a device has no radio, a model stands in
// that says so. It turns nothing (package knob does) and updates nothing (package firmware does).
package machine
