// Command files is an adapter written as an ordinary Extism plugin that opens files itself, as WASI has it: its knob is the
// file level in the first folder under fans that has one. What it is told to set can also name something that it should not reach.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/extism/go-pdk"
)

const knob = "fan/level"

func main() {}

func done(v any, err error) int32 {
	if err == nil && v != nil {
		err = pdk.OutputJSON(v)
	}
	if err != nil {
		pdk.SetError(err)
		return 1
	}
	return 0
}

func folder() string {
	v, _ := pdk.GetConfig("bank")
	return "/srv/fans/bank" + v
}

//go:wasmexport initialize
func initialize() int32 {
	calls++
	return 0
}

// calls tells whether each operation has an instance of its own.
var calls int

//go:wasmexport options
func options() int32 {
	return done(map[string]any{"knobs": []any{
		map[string]any{"name": knob, "min": 0, "max": 255, "step": 1},
		map[string]any{"name": "do", "choices": []string{"nothing", "crash", "loop", "eat", "flood", "wander", "make"}},
	}}, nil)
}

//go:wasmexport state
func state() int32 {
	text, err := os.ReadFile(filepath.Join(folder(), "level"))
	if err != nil {
		return done(nil, err)
	}
	level, err := strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
	if err != nil {
		return done(nil, err)
	}
	return done(map[string]any{
		"readings": []any{map[string]any{"knob": knob, "value": level}, map[string]any{"knob": "do", "value": "nothing"}},
		"facts":    map[string]string{"calls": fmt.Sprint(calls), "sees": see(), "environment": strings.Join(os.Environ(), " ")},
	}, nil)
}

// see lists what there is from the root on.
func see() string {
	var all []string
	err := filepath.WalkDir("/", func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		all = append(all, err.Error())
	}
	return strings.Join(all, " ")
}

//go:wasmexport apply
func apply() int32 {
	var m struct {
		Settings []struct {
			Knob  string `json:"knob"`
			Value any    `json:"value"`
		} `json:"settings"`
	}
	if err := json.Unmarshal(pdk.Input(), &m); err != nil {
		return done(nil, err)
	}
	for _, s := range m.Settings {
		var err error
		if s.Knob == knob {
			err = os.WriteFile(filepath.Join(folder(), "level"), []byte(fmt.Sprint(s.Value)), 0o644)
		} else {
			err = do(fmt.Sprint(s.Value))
		}
		if err != nil {
			return done(nil, err)
		}
	}
	return 0
}

func do(what string) error {
	switch what {
	case "crash":
		panic("I was told to")
	case "loop":
		for calls != 0 {
		}
	case "eat":
		var kept [][]byte
		for {
			kept = append(kept, make([]byte, 1<<20))
		}
	case "flood":
		pdk.Output(make([]byte, 1<<20))
	case "wander":
		return errors.Join(reach("/etc/passwd"), reach("/srv/fans/bank1/../../etc/passwd"), reach("/srv/fans/bank1/secret"), reach("/srv/fans/bank1/link"))
	case "make":
		return errors.Join(refused(os.WriteFile("/srv/fans/bank1/new", nil, 0o644)), refused(os.Symlink("/etc/passwd", "/srv/fans/bank1/level2")),
			refused(os.Remove("/srv/fans/bank1/level")), refused(os.Rename("/srv/fans/bank1/level", "/srv/fans/bank1/other")), refused(os.Mkdir("/srv/fans/x", 0o755)))
	}
	return nil
}

// reach fails if a file can be read, or written.
func reach(path string) error {
	_, err := os.ReadFile(path)
	return errors.Join(refused(err), refused(os.WriteFile(path, []byte("9"), 0o644)))
}

func refused(err error) error {
	if err == nil {
		return errors.New("what should be refused is not")
	}
	return nil
}
