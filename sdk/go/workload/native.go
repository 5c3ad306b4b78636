//go:build !(wasm || tinygo.wasm)

package workload

import "github.com/edgehold/edgehold/wasmabi"

// theHost is what a test gives; natively there is no other.
var theHost Host

// In a native test a log line goes to standard error, as println does.
func writeLog(level wasmabi.Level, text string) {
	if level >= wasmabi.LevelWarn {
		text = "warning: " + text
	}
	println(text)
}
