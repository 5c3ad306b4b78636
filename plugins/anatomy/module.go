package anatomy

import (
	"crypto/sha256"
	"fmt"
)

// Module is what a module is made of.
type Module struct {
	Sections  []Section
	Imports   []Import
	Exports   []Export
	Functions []Function // its own, in order
	Producers []Producer
	imported  int // functions
}

// Section is one section; those of the format have its names, custom ones their own.
type Section struct {
	Name  string `json:"name"`
	Bytes int    `json:"bytes"`
}

// Import is something that the module needs.
type Import struct {
	Module string `json:"module"`
	Name   string `json:"name"`
	Kind   string `json:"kind"`
}

// Export is something that the module gives.
type Export struct {
	Name string `json:"name"`
	Kind string `json:"kind"`
}

// Function is a function of the module itself.
type Function struct {
	Name  string // empty where the module carries no names
	Bytes int
	Sum   [sha256.Size]byte // of its code
}

// Producer is a line of the producers section: which language, tool or SDK took part.
type Producer struct {
	Field   string `json:"field"` // "language", "processed-by" or "sdk"
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
}

var sectionNames = []string{"", "type", "import", "function", "table", "memory", "global", "export", "start", "element", "code", "data", "data count", "tag"}

var kinds = []string{"function", "table", "memory", "global", "tag"}

const magic = "\x00asm\x01\x00\x00\x00"

// Read reads a module. Custom sections that are damaged are listed and otherwise left out.
func Read(module []byte) (*Module, error) {
	r := &reader{rest: module}
	if string(r.take(uint32(len(magic)))) != magic {
		return nil, fmt.Errorf("read module: %w", ErrDamaged)
	}
	m := &Module{}
	var names []byte
	for len(r.rest) > 0 && !r.bad {
		id := r.byte()
		s := &reader{rest: r.take(r.u32())}
		bytes := len(s.rest)
		if int(id) >= len(sectionNames) {
			r.fail()
			break
		}
		name := sectionNames[id]
		if id == 0 {
			name = s.text()
			names = m.custom(name, s.rest, names)
		} else {
			m.section(name, s)
		}
		r.bad = r.bad || s.bad
		m.Sections = append(m.Sections, Section{name, bytes})
	}
	if r.bad {
		return nil, fmt.Errorf("read module: %w", ErrDamaged)
	}
	m.nameFunctions(names)
	return m, nil
}

func (m *Module) section(name string, s *reader) {
	switch name {
	case "import":
		m.imports(s)
	case "export":
		m.exports(s)
	case "code":
		m.code(s)
	}
}

func kind(k byte) string {
	if int(k) < len(kinds) {
		return kinds[k]
	}
	return "unknown"
}

func (m *Module) imports(s *reader) {
	for n := s.count(); n > 0 && !s.bad; n-- {
		i := Import{Module: s.text(), Name: s.text()}
		k := s.byte()
		i.Kind = kind(k)
		switch k {
		case 0:
			s.u32()
			m.imported++
		case 1:
			s.byte()
			s.limits()
		case 2:
			s.limits()
		case 3:
			s.take(2)
		case 4:
			s.byte()
			s.u32()
		default:
			s.fail()
		}
		m.Imports = append(m.Imports, i)
	}
}

func (m *Module) exports(s *reader) {
	for n := s.count(); n > 0 && !s.bad; n-- {
		e := Export{Name: s.text(), Kind: kind(s.byte())}
		s.u32()
		m.Exports = append(m.Exports, e)
	}
}

func (m *Module) code(s *reader) {
	for n := s.count(); n > 0 && !s.bad; n-- {
		body := s.take(s.u32())
		m.Functions = append(m.Functions, Function{Bytes: len(body), Sum: sha256.Sum256(body)})
	}
}

// custom reads the producers, and returns the names if this is where they stand.
func (m *Module) custom(name string, content, names []byte) []byte {
	switch name {
	case "name":
		return content
	case "producers":
		m.producers(&reader{rest: content})
	}
	return names
}

// maxProducers bounds what is shown; real modules have three or four.
const maxProducers = 32

// producers reads what the tool conventions call the producers section.
func (m *Module) producers(r *reader) {
	for fields := r.count(); fields > 0 && !r.bad; fields-- {
		field := r.text()
		for n := r.count(); n > 0 && !r.bad; n-- {
			p := Producer{field, r.text(), r.text()}
			if !r.bad && len(m.Producers) < maxProducers {
				m.Producers = append(m.Producers, p)
			}
		}
	}
}

// nameFunctions reads the function names of the name section (WebAssembly specification, appendix "Custom Sections").
func (m *Module) nameFunctions(section []byte) {
	r := &reader{rest: section}
	for len(r.rest) > 0 && !r.bad {
		id := r.byte()
		s := &reader{rest: r.take(r.u32())}
		if id != 1 {
			continue
		}
		for n := s.count(); n > 0 && !s.bad; n-- {
			index, name := int(s.u32())-m.imported, s.text()
			if index >= 0 && index < len(m.Functions) && !s.bad {
				m.Functions[index].Name = name
			}
		}
	}
}
