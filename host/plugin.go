package host

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/edgehold/edgehold/host/internal/guest"
	"github.com/edgehold/edgehold/host/internal/intake"
	"github.com/edgehold/edgehold/wasmabi"
)

// PluginConfig is what takes the place of a manifest when a plain Extism plugin is prepared.
type PluginConfig struct {
	Name   string         // for errors and logs
	Limits wasmabi.Limits // asked for, as in a manifest
}

// PreparePlugin makes an Extism plugin ready for calls of its exports, whatever manifest it carries. Package host/extism is
// the comfortable way to use one.
//
// Its sessions take two kinds of operations: OpInit with a [PluginSettings] in JSON, at most once and first; and those that
// [Module.Export] names, with the plugin's input as request and its output as response. Host calls that it makes go to the
// session's first handle and are HTTP requests: see [HTTPRequestOp].
func (r *Runtime) PreparePlugin(ctx context.Context, module []byte, c PluginConfig) (*Module, error) {
	manifest := &wasmabi.Manifest{Name: c.Name, Door: wasmabi.DoorExtism, Limits: c.Limits}
	return r.admit(ctx, module, wasmabi.DoorExtism, func() (*wasmabi.Manifest, error) { return manifest, nil })
}

// HTTPRequestOp is the operation of a session's first handle by which an Extism plugin makes an HTTP request. The request is
// the length of a description (4 bytes, least significant first), the description as the plugin wrote it (JSON with url,
// method and headers), and the body. The response is the status (4 bytes), the length of the headers (4 bytes), the headers as a
// JSON object of texts, and the body.
const HTTPRequestOp = guest.HTTPOp

// PluginSettings is the request of OpInit for a plain Extism plugin, in JSON.
type PluginSettings struct {
	Config   map[string]string `json:"config,omitempty"`
	LogLevel PluginLevel       `json:"log_level"`           // what the plugin logs below it is dropped
	VarBytes uint32            `json:"var_bytes,omitempty"` // of variables, up to the limit; 0: it has none
}

// PluginLevel is a log level of Extism plugins.
type PluginLevel = guest.PluginLevel

// The levels.
const (
	PluginTrace = guest.PluginTrace
	PluginDebug = guest.PluginDebug
	PluginInfo  = guest.PluginInfo
	PluginWarn  = guest.PluginWarn
	PluginError = guest.PluginError
)

// firstExport is the operation that calls the first export of an Extism plugin.
const firstExport wasmabi.Op = 1 << 16

// Exports returns the names of the functions of an Extism plugin that can be called, in order, and nothing for other
// modules.
func (m *Module) Exports() []string { return slices.Clone(m.program.Exports) }

// Export returns the operation that calls an export of an Extism plugin.
func (m *Module) Export(name string) (wasmabi.Op, bool) {
	i, ok := slices.BinarySearch(m.program.Exports, name)
	return firstExport + wasmabi.Op(i), ok
}

// exportName returns the export that an operation calls, if it does.
func (m *Module) exportName(op wasmabi.Op) string {
	if i := int64(op) - int64(firstExport); i >= 0 && i < int64(len(m.program.Exports)) {
		return m.program.Exports[i]
	}
	return ""
}

// Returned returns what the last call of an Extism plugin's export returned: zero if all was well, as a rule.
func (s *Session) Returned() uint32 {
	if s.instance == nil || s.plugin == nil {
		return 0
	}
	code, _ := s.instance.Returned()
	return code
}

// Output returns the output of the last call of an Extism plugin's export, also of one that ended with an error. It is valid
// until the next Call or Close.
func (s *Session) Output() []byte {
	if s.instance == nil || s.plugin == nil {
		return nil
	}
	output := s.instance.Output()
	return output[:min(len(output), int(s.module.limits.ResponseBytes))]
}

// plugin answers a session's operations with calls of an Extism plugin's exports.
type plugin interface {
	call(ctx context.Context, op wasmabi.Op, request []byte) (wasmabi.Status, []byte, *guest.Fault)
}

// plainPlugin knows operations for exports, and nothing else.
type plainPlugin struct{ instance *guest.Instance }

func (p *plainPlugin) call(ctx context.Context, op wasmabi.Op, request []byte) (wasmabi.Status, []byte, *guest.Fault) {
	if op >= firstExport {
		return p.instance.CallExport(ctx, int(op-firstExport), request)
	}
	p.instance.Idle()
	if op != wasmabi.OpInit {
		return wasmabi.StatusUnsupported, nil, nil
	}
	var settings PluginSettings
	if err := json.Unmarshal(request, &settings); err != nil {
		return wasmabi.StatusInvalid, nil, nil
	}
	p.instance.Configure(guest.Settings{Config: settings.Config, LogLevel: settings.LogLevel, VarBytes: settings.VarBytes})
	return wasmabi.StatusOK, nil, nil
}

func newPlugin(m *Module, i *guest.Instance) plugin {
	switch {
	case !m.program.Plugin:
		return nil
	case m.manifest.Kind == wasmabi.KindPolicy:
		return &policyPlugin{vessel: vessel{module: m, instance: i}}
	case m.manifest.Kind == wasmabi.KindAdapter:
		return &adapterPlugin{vessel: vessel{module: m, instance: i}}
	}
	return &plainPlugin{i}
}

// required are the exports that a plugin is called by, by its kind. A plain plugin may have any.
var required = map[string][]string{
	wasmabi.KindPolicy:  {exportAnalyze, exportPlan},
	wasmabi.KindAdapter: {exportOptions, exportState, exportApply},
}

// checkPlugin refuses a plugin that lacks exports that its kind is called by.
func (m *Module) checkPlugin() error {
	if !m.program.Plugin {
		return nil
	}
	var missing []string
	for _, name := range required[m.manifest.Kind] {
		if _, ok := m.Export(name); !ok {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return &Refusal{Code: intake.CodeExport,
		Why: fmt.Sprintf("an Extism plugin of kind %s exports the functions %s; it lacks %s", m.manifest.Kind,
			strings.Join(required[m.manifest.Kind], ", "), strings.Join(missing, " and ")),
		Hint: "host/extism/README.md describes what goes in and out; call any other plugin with edgehold plugin run"}
}
