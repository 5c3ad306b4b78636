package main

import (
	"math"
	"testing"

	"github.com/edgehold/edgehold/sdk/go/workloadtest"
)

func newDevice(t *testing.T, celsius float64) *workloadtest.Device {
	d := workloadtest.New(t, &average{})
	d.Inputs("temp")
	d.Outputs("temp_avg")
	d.Property("temperature", celsius)
	d.Parameter("window", 2)
	d.Start()
	return d
}

func TestAverageOfInputs(t *testing.T) {
	d := newDevice(t, math.NaN())
	d.Receive("temp", 20).Want("temp_avg", 20)
	d.Receive("temp", 22).Want("temp_avg", 21)
	d.Receive("temp", 24).Want("temp_avg", 23)
	d.Tick().WantNothing()
}

func TestAverageOfTheSensor(t *testing.T) {
	d := newDevice(t, 20)
	d.Tick().Want("temp_avg", 20)
	d.Property("temperature", 23)
	d.Tick().Want("temp_avg", 21.5)
}
