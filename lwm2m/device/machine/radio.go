package machine

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"sync"
)

// Radio tells how well the device hears its network.
type Radio interface {
	// Reading is the present state; ErrNoRadio when the device has none.
	Reading() (RadioReading, error)
}

// RadioReading is one look at a radio.
type RadioReading struct {
	SignalDBm   int  // received signal strength
	LinkQuality int  // as the driver counts it, 0 if unknown
	Simulated   bool // a model, not a measurement
}

// ErrNoRadio says that there is no radio to ask.
var ErrNoRadio = errors.New("no radio")

// Wireless is the radio that /proc/net/wireless shows: the first interface of it.
type Wireless struct{ Root fs.FS }

// Reading reads proc/net/wireless below the root.
func (w Wireless) Reading() (RadioReading, error) {
	text, err := fs.ReadFile(w.Root, "proc/net/wireless")
	if errors.Is(err, fs.ErrNotExist) {
		return RadioReading{}, ErrNoRadio
	}
	if err != nil {
		return RadioReading{}, fmt.Errorf("read radio: %w", err)
	}
	return parseWireless(text)
}

// parseWireless reads the table of /proc/net/wireless: two lines of head, then "wlan0: 0000   54.  -56.  -256 ...": status, quality,
// level in dBm.
func parseWireless(text []byte) (RadioReading, error) {
	for line := range bytes.Lines(text) {
		_, columns, found := bytes.Cut(line, []byte(":"))
		if !found {
			continue
		}
		f := bytes.Fields(columns)
		if len(f) < 3 {
			return RadioReading{}, fmt.Errorf("read radio: line %q of /proc/net/wireless is short", line)
		}
		return RadioReading{SignalDBm: int(firstNumber(f[2])), LinkQuality: int(firstNumber(f[1]))}, nil
	}
	return RadioReading{}, ErrNoRadio
}

// SimulatedRadio is a model of a radio for devices and tests without one: log-distance path loss (exponent 3, 40 dB at one metre, which is
// 2.4 GHz indoors), no fading. It says of itself that it is simulated. The zero value transmits at 0 dBm from one metre.
type SimulatedRadio struct {
	mu       sync.Mutex
	powerDBm float64
	metres   float64
	moved    func() // after a change
}

const (
	pathLossAtOneMetreDB = 40
	pathLossExponent     = 3
	noiseFloorDBm        = -120
)

// SetTransmitPower sets the power at the antenna. Both ends are taken to turn it together, as a power control loop would, so the
// received signal moves with it.
func (r *SimulatedRadio) SetTransmitPower(dBm float64) {
	r.set(func() { r.powerDBm = dBm })
}

// SetDistance moves the device; less than one metre counts as one.
func (r *SimulatedRadio) SetDistance(metres float64) {
	r.set(func() { r.metres = metres })
}

func (r *SimulatedRadio) set(change func()) {
	r.mu.Lock()
	change()
	moved := r.moved
	r.mu.Unlock()
	if moved != nil {
		moved()
	}
}

// OnChange has f called after each change of power or distance.
func (r *SimulatedRadio) OnChange(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.moved = f
}

// Reading is what the model gives.
func (r *SimulatedRadio) Reading() (RadioReading, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	loss := pathLossAtOneMetreDB + 10*pathLossExponent*math.Log10(max(r.metres, 1))
	signal := int(math.Round(max(r.powerDBm-loss, noiseFloorDBm)))
	return RadioReading{SignalDBm: signal, LinkQuality: max(0, min(70, signal+110)), Simulated: true}, nil
}
