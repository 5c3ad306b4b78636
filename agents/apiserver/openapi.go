package apiserver

import (
	"bytes"
	"encoding/json"
)

// Document returns the OpenAPI 3.1 description of the interface, indented. It needs no server.
func Document() ([]byte, error) {
	text, err := build(Config{}).api.OpenAPI().MarshalJSON()
	if err != nil {
		return nil, err
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, text, "", "  "); err != nil {
		return nil, err
	}
	indented.WriteByte('\n')
	return indented.Bytes(), nil
}
