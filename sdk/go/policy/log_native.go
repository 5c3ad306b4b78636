//go:build !(wasm || tinygo.wasm)

package policy

import "github.com/edgehold/edgehold/wasmabi"

// In a native test a log line goes to standard error, as println does.
func writeLog(level wasmabi.Level, text string) {
	if level >= wasmabi.LevelWarn {
		text = "warning: " + text
	}
	println(text)
}
