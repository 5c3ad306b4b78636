package policy

import "github.com/edgehold/edgehold/wasmabi"

// Log writes a line to the host's log, under the policy's name. The parts are joined as in [Text]. The host cuts off
// what goes beyond 4 KiB for each call.
func Log(parts ...any) { writeLog(wasmabi.LevelInfo, Text(parts...)) }

// Warn is Log with the level of a warning.
func Warn(parts ...any) { writeLog(wasmabi.LevelWarn, Text(parts...)) }
