package wasm

import "fmt"

// FormatError says that bytes are not a WebAssembly module.
type FormatError struct {
	Offset int // in the module
	What   string
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("decode module at byte %d: %s", e.Offset, e.What)
}

// FeatureError says that a module uses a part of WebAssembly that is not accepted here.
type FeatureError struct {
	Offset  int // in the module
	Feature string
}

func (e *FeatureError) Error() string {
	return fmt.Sprintf("decode module at byte %d: %s not supported", e.Offset, e.Feature)
}

// LimitError says that a module holds more of something than the caller allows.
type LimitError struct {
	Offset   int    // in the module
	What     string // "functions"
	Got, Max uint64
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("decode module at byte %d: %d %s, at most %d allowed", e.Offset, e.Got, e.What, e.Max)
}
