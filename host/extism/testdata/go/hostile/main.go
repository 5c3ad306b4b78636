// Command hostile is a policy that misbehaves as its parameter says.
package main

import (
	"errors"
	"os"
	"strings"

	"github.com/extism/go-pdk"
)

//go:wasmexport analyze
func analyze() int32 {
	how, _ := pdk.GetConfig("how")
	switch how {
	case "1":
		pdk.OutputString("I would not know")
	case "2":
		pdk.OutputString(`{"plan":true,"bounds":[{"metric":"of somebody else","above":1}]}`)
	case "3":
		pdk.OutputString(`{"plan":false}`)
		return 3
	case "4":
		pdk.SetError(errors.New("I do not feel like it"))
		return 1
	case "5":
		pdk.OutputString(`{"why":"` + strings.Repeat("because ", 40_000) + `"}`)
	case "6":
		pdk.SetVar(strings.Repeat("n", 65), []byte("value"))
		pdk.OutputString(`{}`)
	case "7":
		pdk.SetVar("large", make([]byte, 70_000))
	case "8":
		pdk.NewHTTPRequest(pdk.MethodGet, "http://127.0.0.1/").Send()
	case "9":
		os.Exit(0)
	case "10":
		os.Exit(4)
	case "11":
		// says nothing
	case "12":
		pdk.OutputString(`{"why":"` + strings.Repeat("é", 5_000) + `"}`)
	case "13":
		pdk.OutputMemory(pdk.NewMemory(1<<40, 1<<40)) // nobody allocated it
	case "14":
		other := pdk.NewMemory(24, 1000) // somebody else's block, and beyond
		other.Load(make([]byte, 1000))
		other.Store(make([]byte, 1000))
		pdk.OutputString(`{}`)
	default:
		pdk.OutputString(`{}`)
	}
	return 0
}

//go:wasmexport plan
func plan() int32 {
	pdk.OutputString(`{"changes":[{"knob":"of somebody else","value":1}]}`)
	return 0
}

func main() {}
