package workload

import "github.com/edgehold/edgehold/wasmabi"

// Workload starts. It also is a [Receiver], a [Ticker] or both, and may be a [Stopper].
type Workload interface {
	// Start finds outputs, properties, knobs and parameters by name. A name that is not there is reported by the Setup itself.
	Start(*Setup) error
}

// Receiver is a workload with inputs.
type Receiver interface {
	Input(*Turn, Value) error
}

// Ticker is a workload that runs from time to time: as often as the manifest's tick says, or [Turn.Next].
type Ticker interface {
	Tick(*Turn) error
}

// Stopper is a workload that has a last word. The device waits no longer for it than for any call.
type Stopper interface {
	Stop(*Turn) error
}

// Value is what came in.
type Value struct {
	Input  Input
	Number float64 // of an input of type number
	Bytes  []byte  // of an input of type bytes; valid during the call
}

// Places of what the manifest names, from [Setup].
type (
	Input    struct{ place uint32 }
	Output   struct{ place uint32 }
	Property struct {
		place uint32
		host  Host
	}
	Knob struct {
		place uint32
		host  Host
	}
)

var registered = NewInstance(nil)

// Register names the workload of this module. Call it once, in an init function.
func Register(w Workload) { registered.workload = w }

// Log writes a line to the device's log. The device cuts off what goes beyond its bound for each call.
func Log(text string) { writeLog(wasmabi.LevelInfo, text) }

// Warn is Log with the level of a warning.
func Warn(text string) { writeLog(wasmabi.LevelWarn, text) }

// Error makes an error of a text, without what the standard library would bring along.
func Error(message string) error { return &wasmabi.Error{Code: "workload.failed", Message: message} }
