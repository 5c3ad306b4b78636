package extism

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	"github.com/edgehold/edgehold/wasmabi"
)

// Manifest is what the Extism project calls so: what a plugin is configured with and may use. The zero value grants nothing.
type Manifest struct {
	Config       map[string]string `json:"config,omitempty"`
	AllowedHosts []string          `json:"allowed_hosts,omitempty"` // patterns in which * stands for any text
	AllowedPaths map[string]string `json:"allowed_paths,omitempty"` // not offered; only the fallback engine has files
	Memory       Memory            `json:"memory,omitzero"`
	TimeoutMS    uint64            `json:"timeout_ms,omitempty"` // for each call; 0 is the runtime's limit
	Wasm         []json.RawMessage `json:"wasm,omitempty"`       // where an SDK finds the modules; not read here
}

// Memory bounds what a plugin keeps. The runtime's limits hold besides.
type Memory struct {
	MaxPages             uint32 `json:"max_pages,omitempty"`               // of 64 KiB; 0 is the runtime's limit
	MaxHTTPResponseBytes *int64 `json:"max_http_response_bytes,omitempty"` // nil is the runtime's limit
	MaxVarBytes          *int64 `json:"max_var_bytes,omitempty"`           // nil is the runtime's limit; 0 is no variables
}

const pageBytes = 65536

// maxManifest bounds a manifest's text, in bytes.
const maxManifest = 1 << 20

// ParseManifest reads a manifest in JSON. Members that it does not know are refused: what was meant to be a limit must not be
// passed over.
func ParseManifest(r io.Reader) (Manifest, error) {
	var m Manifest
	text, err := io.ReadAll(io.LimitReader(r, maxManifest+1))
	if err != nil {
		return m, fmt.Errorf("read Extism manifest: %w", err)
	}
	if len(text) > maxManifest {
		return m, badManifest("it is longer than " + strconv.Itoa(maxManifest) + " bytes")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return m, badManifest(err.Error())
	}
	if _, err := d.Token(); err != io.EOF {
		return m, badManifest("something follows the JSON document")
	}
	return m, m.check()
}

func badManifest(why string) error {
	return &Error{Attempt: "read Extism manifest", Code: "extism.manifest", Why: why,
		Hint: "give a JSON object with config, allowed_hosts, memory and timeout_ms"}
}

// check refuses what this door does not have, rather than running a plugin without it.
func (m *Manifest) check() error {
	switch {
	case len(m.AllowedPaths) > 0:
		return notOffered("its manifest mounts folders (allowed_paths)")
	case len(m.Wasm) > 1:
		return notOffered("its manifest links several modules (wasm)")
	case m.TimeoutMS > math.MaxUint32:
		return badManifest("timeout_ms is " + strconv.FormatUint(m.TimeoutMS, 10))
	}
	return nil
}

func notOffered(why string) error {
	return &Error{Attempt: "prepare Extism plugin", Code: "extism.not-offered", Why: why + ", which this engine does not offer",
		Hint: "leave it out, or run the plugin with the fallback engine (edgehold plugin run --engine go-sdk)"}
}

// limits are what the manifest asks for.
func (m *Manifest) limits() wasmabi.Limits {
	return wasmabi.Limits{DeadlineMS: uint32(m.TimeoutMS), MemoryBytes: uint64(m.Memory.MaxPages) * pageBytes}
}

// orLimit returns what was given if it is less than the limit.
func orLimit(given *int64, limit int64) int64 {
	if given == nil || *given < 0 {
		return limit
	}
	return min(*given, limit)
}

// Timeout returns how long a call may take, or zero if the manifest does not say.
func (m *Manifest) Timeout() time.Duration { return time.Duration(m.TimeoutMS) * time.Millisecond }
