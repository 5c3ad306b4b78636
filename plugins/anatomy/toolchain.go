package anatomy

import (
	"cmp"
	"slices"
	"strings"
)

// Toolchain guesses from the producers section, and from what it imports and exports, what made the module. It is a claim of
// the module's, for people to read.
func (m *Module) Toolchain() string {
	var languages, tools []string
	for _, p := range m.Producers {
		text := strings.TrimSpace(p.Name + " " + p.Version)
		switch p.Field {
		case "language":
			languages = append(languages, text)
		case "processed-by":
			tools = append(tools, text)
		}
	}
	said := strings.Join(languages, ", ")
	if by := strings.Join(tools, ", "); by != "" {
		said = strings.TrimSpace(said + " (" + by + ")")
	}
	return cmp.Or(said, m.guess())
}

// guess goes by what toolchains leave behind that write no producers section.
func (m *Module) guess() string {
	switch {
	case m.hasSection("go:buildid") || m.hasSection("go.version"):
		return "Go"
	case m.needs("env", "abort"), m.hasSection("sourceMappingURL"):
		return "AssemblyScript, probably"
	case m.gives("_initialize") && m.needs("wasi_snapshot_preview1", "sched_yield"):
		return "Go, probably"
	}
	return "unknown"
}

func (m *Module) hasSection(name string) bool {
	return slices.ContainsFunc(m.Sections, func(s Section) bool { return s.Name == name })
}

func (m *Module) needs(module, name string) bool {
	return slices.ContainsFunc(m.Imports, func(i Import) bool { return i.Module == module && i.Name == name })
}

func (m *Module) gives(name string) bool {
	return slices.ContainsFunc(m.Exports, func(e Export) bool { return e.Name == name })
}
