package wasmabi

import (
	"bytes"
	"errors"
	"testing"
)

var emptyModule = []byte(moduleHead)

func TestManifestSurvivesTheModule(t *testing.T) {
	want := sampleManifest()
	module, err := AppendManifest(emptyModule, want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadManifest(module)
	if err != nil {
		t.Fatal(err)
	}
	if !same(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	stripped, err := StripManifest(module)
	if err != nil || !bytes.Equal(stripped, emptyModule) {
		t.Errorf("stripped to %x, %v", stripped, err)
	}
}

func TestModulesWithoutOneManifestAreRefused(t *testing.T) {
	packed, err := AppendManifest(emptyModule, &Manifest{Name: "a"})
	if err != nil {
		t.Fatal(err)
	}
	section := packed[len(moduleHead):]
	tests := []struct {
		name   string
		module []byte
		code   string
	}{
		{"nothing", nil, "manifest.not-wasm"},
		{"component", []byte("\x00asm\x0d\x00\x01\x00"), "manifest.not-wasm"},
		{"no section", emptyModule, "manifest.missing"},
		{"two sections", append(bytes.Clone(packed), section...), "manifest.duplicate"},
		{"section beyond the end", packed[:len(packed)-1], "manifest.not-wasm"},
		{"length without end", append(bytes.Clone(emptyModule), 0, 0x80, 0x80, 0x80, 0x80, 0x80), "manifest.not-wasm"},
		{"other custom section", append(bytes.Clone(emptyModule), 0, 3, 2, 'h', 'i'), "manifest.missing"},
		{"custom section with a long name", append(bytes.Clone(emptyModule), 0, 2, 9, 'h'), "manifest.missing"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ReadManifest(tt.module)
			var e interface{ ErrorCode() string }
			if !errors.As(err, &e) || e.ErrorCode() != tt.code {
				t.Errorf("got %v, want code %s", err, tt.code)
			}
		})
	}
	if _, err := AppendManifest(packed, &Manifest{}); err == nil {
		t.Error("added a second manifest")
	}
}
