package lines

import (
	"bytes"
	"strings"
)

// name is a file, or a folder, of a program's tables.
type name struct {
	text   []byte
	folder uint64
}

// path is a file's name with the last folder that leads to it: enough to find it, and nothing of where it was built.
func (p *program) path(file name) string {
	text := clip(file.text)
	if strings.HasPrefix(text, "/") || strings.Contains(text, "\\") {
		return shorten(text)
	}
	index := file.folder
	if p.version < 5 {
		if index == 0 { // where the compiler ran
			return text
		}
		index--
	}
	if index < uint64(len(p.folders)) && !(p.version == 5 && index == 0) {
		return shorten(clip(p.folders[index].text) + "/" + text)
	}
	return text
}

// shorten keeps the last two elements of a path that begins at a machine's root, and all of others.
func shorten(path string) string {
	path = strings.ReplaceAll(path, "\\", "/")
	path = strings.TrimPrefix(path, "./")
	if !strings.HasPrefix(path, "/") {
		return path
	}
	parts := strings.Split(path, "/")
	return strings.Join(parts[max(len(parts)-2, 1):], "/")
}

// clip makes printable text of a bounded length.
func clip(b []byte) string {
	text := strings.ToValidUTF8(string(b[max(len(b)-maxName, 0):]), "?")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, text)
}

// tables reads the folders and files of versions 2 to 4.
func (p *program) tables(r *reader) {
	for r.ok() {
		text := r.text()
		if len(text) == 0 {
			break
		}
		p.folders = append(p.folders, name{text: text})
	}
	for r.ok() {
		text := r.text()
		if len(text) == 0 {
			break
		}
		file := name{text: text, folder: r.unsigned()}
		r.unsigned() // time
		r.unsigned() // length
		p.files = append(p.files, file)
	}
}

// What an entry of version 5 may hold, and how.
const (
	contentPath   = 1
	contentFolder = 2

	formBlock   = 0x09
	formData1   = 0x0b
	formData2   = 0x05
	formData4   = 0x06
	formData8   = 0x07
	formData16  = 0x1e
	formString  = 0x08
	formStrp    = 0x0e
	formUdata   = 0x0f
	formLineStr = 0x1f
)

// entries reads a table of version 5. Each entry takes at least a byte, so the section's length bounds them.
func (p *program) entries(r *reader) (all []name) {
	type field struct{ content, form uint64 }
	fields := make([]field, r.byte())
	for i := range fields {
		fields[i] = field{r.unsigned(), r.unsigned()}
	}
	for n := r.unsigned(); n > 0 && r.ok() && len(fields) > 0; n-- {
		var e name
		for _, f := range fields {
			text, number := p.value(r, f.form)
			switch f.content {
			case contentPath:
				e.text = text
			case contentFolder:
				e.folder = number
			}
		}
		if r.ok() {
			all = append(all, e)
		}
	}
	return all
}

func (p *program) value(r *reader, form uint64) (text []byte, number uint64) {
	switch form {
	case formString:
		return r.text(), 0
	case formLineStr:
		return textAt(p.sections.LineStr, r.u32()), 0
	case formStrp:
		return textAt(p.sections.Str, r.u32()), 0
	case formUdata:
		return nil, r.unsigned()
	case formBlock:
		r.bytes(r.unsigned())
	case formData1:
		return nil, uint64(r.byte())
	case formData2:
		return nil, uint64(r.u16())
	case formData4:
		return nil, uint64(r.u32())
	case formData8:
		r.bytes(8)
	case formData16:
		r.bytes(16)
	default:
		r.failed = true // of unknown length
	}
	return nil, 0
}

// textAt returns the text at an offset of a section, no longer than what may be printed.
func textAt(section []byte, offset uint32) []byte {
	if uint64(offset) >= uint64(len(section)) {
		return nil
	}
	text := section[offset:min(int(offset)+4*maxName, len(section))]
	if end := bytes.IndexByte(text, 0); end >= 0 {
		return text[:end]
	}
	return text
}
