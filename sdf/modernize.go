package sdf

import (
	"fmt"
	"slices"
	"strings"
)

// oldNames are the qualities of drafts, and what RFC 9880 calls them. "subtype" has old values too.
var oldNames = map[string]string{
	"sdfProduct": "sdfThing",
	"sdfEnum":    "sdfChoice",
	"subtype":    "sdfType",
	"units":      "unit",
}

// whose says which sets of qualities had an old name: a property that someone named "units" is none.
var whose = map[string][]role{
	"sdfProduct": {roleDocument, roleThing},
	"sdfEnum":    {roleProperty, roleData},
	"subtype":    {roleProperty, roleData},
	"units":      {roleProperty, roleData},
}

// oldTypes are values of subtype that were written otherwise.
var oldTypes = map[string]string{"byteString": "byte-string", "bytestring": "byte-string", "unixTime": "unix-time", "unixtime": "unix-time"}

const oldRequiredInput = "sdfRequiredInputData"

// Modernize replaces names that were used before RFC 9880, in qualities and in references, and says where. A document without any is
// returned as it is.
func (d *Document) Modernize() (*Document, []Problem) {
	if !d.isOld() {
		return d, nil
	}
	budget := d.limits.Values * 2 // a tree within the limit has room
	tree, err := clone(d.tree, &budget)
	if err != nil {
		return d, []Problem{{Why: err.Error()}}
	}
	modern := &Document{tree: tree.(map[string]any), limits: d.limits}
	m := modernizer{}
	m.definition(modern.root())
	if len(m.warnings) == 0 { // they were given names
		return d, nil
	}
	return modern, m.warnings
}

// isOld reports whether any old name stands in the document.
func (d *Document) isOld() (old bool) {
	var look func(value any)
	look = func(value any) {
		switch v := value.(type) {
		case map[string]any:
			for name, item := range v {
				old = old || name == oldRequiredInput || oldNames[name] != ""
				look(item)
			}
		case []any:
			for _, item := range v {
				look(item)
			}
		}
	}
	look(d.tree)
	return old
}

type modernizer struct{ warnings []Problem }

func (m *modernizer) warn(at Pointer, format string, args ...any) {
	if len(m.warnings) < maxProblems {
		m.warnings = append(m.warnings, Problem{At: at, Why: fmt.Sprintf(format, args...)})
	}
}

// definition renames what d holds, then goes on below it, so that the structure is known as it goes.
func (m *modernizer) definition(d definition) {
	for _, old := range sortedNames(oldNames) {
		if value, found := d.qualities[old]; found && slices.Contains(whose[old], d.role) {
			m.rename(d, old, value)
		}
	}
	if d.role == roleAction {
		m.requiredInput(d)
	}
	m.references(d)
	d.each(m.definition)
}

func (m *modernizer) rename(d definition, old string, value any) {
	today := oldNames[old]
	if _, both := d.qualities[today]; both {
		m.warn(d.at, "%s stands beside %s and is left", old, today)
		return
	}
	m.warn(d.at, "%s is called %s since RFC 9880", old, today)
	delete(d.qualities, old)
	if text, ok := value.(string); ok && oldTypes[text] != "" {
		value = oldTypes[text]
	}
	d.qualities[today] = value
}

// requiredInput makes sdfRequiredInputData, pointers to members of the input, the list "required" of the input.
func (m *modernizer) requiredInput(d definition) {
	pointers, found := d.qualities[oldRequiredInput].([]any)
	input, ok := d.qualities["sdfInputData"].(map[string]any)
	if !found || !ok || input["required"] != nil {
		return
	}
	required := make([]any, 0, len(pointers))
	for _, p := range pointers {
		text, _ := p.(string)
		required = append(required, text[strings.LastIndexByte(text, '/')+1:])
	}
	m.warn(d.at, "%s is the quality required of sdfInputData since RFC 9880", oldRequiredInput)
	delete(d.qualities, oldRequiredInput)
	input["required"] = required
}

// references renames what pointers pass through.
func (m *modernizer) references(d definition) {
	if text, ok := d.qualities["sdfRef"].(string); ok {
		d.qualities["sdfRef"] = modernPath(text)
	}
	list, _ := d.qualities["sdfRequired"].([]any)
	for i, item := range list {
		if text, ok := item.(string); ok {
			list[i] = modernPath(text)
		}
	}
}

func modernPath(text string) string {
	names := strings.Split(text, "/")
	for i, name := range names {
		if i > 0 && (name == "sdfProduct" || name == "sdfEnum") {
			names[i] = oldNames[name]
		}
	}
	return strings.Join(names, "/")
}
