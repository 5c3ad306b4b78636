package wasmabi

// SectionError says why a module's manifest section could not be read or written.
type SectionError struct {
	Attempt string // "read manifest of module"
	Code    string // "manifest.missing", "manifest.duplicate", "manifest.not-wasm"
	Problem string
	Hint    string
}

// Error says what was attempted and what was wrong.
func (e *SectionError) Error() string { return e.Attempt + ": " + e.Problem }

// ErrorCode is stable.
func (e *SectionError) ErrorCode() string { return e.Code }

// ErrorWhy is the problem alone.
func (e *SectionError) ErrorWhy() string { return e.Problem }

// ErrorHint says what to do.
func (e *SectionError) ErrorHint() string { return e.Hint }

const (
	moduleHead = "\x00asm\x01\x00\x00\x00"
	attemptGet = "read manifest of module"
	attemptAdd = "add manifest to module"
)

// ReadManifest finds and decodes the manifest of a core Wasm module. It looks at section heads only, and refuses a
// module with none or more than one.
func ReadManifest(module []byte) (*Manifest, error) {
	section, err := findSection(module, attemptGet)
	if err != nil {
		return nil, err
	}
	if section.content == nil {
		return nil, &SectionError{attemptGet, "manifest.missing", "it has no section " + ManifestSection,
			"build it with `edgehold policy build`, which packs policy.yaml into the module"}
	}
	m := new(Manifest)
	if err := DecodeManifest(section.content, m); err != nil {
		return nil, err
	}
	return m, nil
}

// AppendManifest returns a copy of module with m added at its end. It refuses a module that has a manifest; see
// [StripManifest].
func AppendManifest(module []byte, m *Manifest) ([]byte, error) {
	section, err := findSection(module, attemptAdd)
	if err != nil {
		return nil, err
	}
	if section.content != nil {
		return nil, &SectionError{attemptAdd, "manifest.duplicate", "it has a section " + ManifestSection + " already",
			"strip the old manifest first"}
	}
	content := EncodeManifest(m)
	if len(content) > MaxManifest {
		return nil, &SectionError{attemptAdd, "manifest.too-large", "it would be longer than " + decimal(MaxManifest) + " bytes",
			"shorten descriptions or golden vectors"}
	}
	out := make([]byte, 0, len(module)+len(content)+32)
	out = append(append(out, module...), 0)
	out = appendLEB(out, uint64(1+len(ManifestSection)+len(content)))
	out = append(append(out, byte(len(ManifestSection))), ManifestSection...)
	return append(out, content...), nil
}

// StripManifest returns a copy of module without its manifest, if it has one.
func StripManifest(module []byte) ([]byte, error) {
	section, err := findSection(module, "strip manifest of module")
	if err != nil {
		return nil, err
	}
	out := append([]byte(nil), module[:section.start]...)
	return append(out, module[section.end:]...), nil
}

// section is where the manifest lies; content is nil when there is none, and start and end are 0.
type section struct {
	start, end int
	content    []byte
}

func findSection(module []byte, attempt string) (found section, err error) {
	notWasm := &SectionError{attempt, "manifest.not-wasm", "these bytes are not a core Wasm module", "give a .wasm file"}
	if len(module) < len(moduleHead) || string(module[:len(moduleHead)]) != moduleHead {
		return section{}, notWasm
	}
	for at := len(moduleHead); at < len(module); {
		size, width := readLEB(module[at+1:])
		start := at + 1 + width
		if width == 0 || size > uint64(len(module)-start) {
			return section{}, notWasm
		}
		end := start + int(size)
		if content, ok := manifestContent(module[at], module[start:end]); ok {
			if found.content != nil {
				return section{}, &SectionError{attempt, "manifest.duplicate",
					"it has more than one section " + ManifestSection, "build the module again"}
			}
			found = section{at, end, content}
		}
		at = end
	}
	return found, nil
}

// manifestContent returns what follows the name when this is a manifest section; never nil then.
func manifestContent(id byte, body []byte) ([]byte, bool) {
	if id != 0 {
		return nil, false
	}
	n, width := readLEB(body)
	if width == 0 || n > uint64(len(body)-width) || string(body[width:width+int(n)]) != ManifestSection {
		return nil, false
	}
	return body[width+int(n):], true
}

// readLEB reads an unsigned LEB128 of at most 32 bits; width is 0 when there is none.
func readLEB(b []byte) (v uint64, width int) {
	for i := 0; i < len(b) && i < 5; i++ {
		v |= uint64(b[i]&0x7f) << (7 * i)
		if b[i] < 0x80 {
			if v > 1<<32-1 {
				return 0, 0
			}
			return v, i + 1
		}
	}
	return 0, 0
}

func appendLEB(b []byte, v uint64) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}
