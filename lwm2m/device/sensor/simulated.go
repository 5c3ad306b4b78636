package sensor

import (
	"math"
	"time"
)

// Wave is a model of a sensor: a mean with a slow wave on it and a faster, smaller one, as a room has through its day.
type Wave struct {
	Mean, Swing float64
	Period      time.Duration
	Now         func() time.Time
}

// Read is what the model gives at its time, to a hundredth.
func (w Wave) Read() (float64, error) {
	t := float64(w.Now().UnixNano()) / float64(w.Period)
	v := w.Mean + w.Swing*math.Sin(2*math.Pi*t) + w.Swing/10*math.Sin(2*math.Pi*t*17)
	return math.Round(v*100) / 100, nil
}

// Simulated makes the sensors of a device that has none. Their Application Type says so.
func Simulated(object uint16, now func() time.Time) []Sensor {
	w := Wave{Mean: 21, Swing: 3, Period: 10 * time.Minute, Now: now}
	least, most := -40.0, 85.0
	if object == Humidity {
		w = Wave{Mean: 45, Swing: 8, Period: 17 * time.Minute, Now: now}
		least, most = 0, 100
	}
	return []Sensor{{Source: w, Application: "simulated", Min: least, Max: most}}
}
