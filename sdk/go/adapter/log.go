package adapter

import "github.com/edgehold/edgehold/wasmabi"

// Log writes a line to the host's log, under the adapter's name. The host cuts off what goes beyond 4 KiB for each call.
func Log(text string) { writeLog(wasmabi.LevelInfo, text) }

// Warn is Log with the level of a warning.
func Warn(text string) { writeLog(wasmabi.LevelWarn, text) }
