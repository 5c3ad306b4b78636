package sdf

import (
	"fmt"
	"maps"
	"slices"
)

// Document is an SDF document as it was written: a tree, with whatever qualities extensions gave it. It does not change once it is made; who
// holds its Tree must not change it either.
type Document struct {
	tree   map[string]any
	limits Limits
}

// Parse reads a document in JSON.
func Parse(text []byte, limits Limits) (*Document, error) {
	value, err := DecodeJSON(text, limits)
	if err != nil {
		return nil, err
	}
	return document(value, attemptJSON, limits)
}

// ParseCBOR reads a document in CBOR. RFC 9880 has no CBOR of its own: it is the JSON map as a CBOR map.
func ParseCBOR(data []byte, limits Limits) (*Document, error) {
	value, err := DecodeCBOR(data, limits)
	if err != nil {
		return nil, err
	}
	return document(value, attemptCBOR, limits)
}

func document(value any, attempt string, limits Limits) (*Document, error) {
	tree, ok := value.(map[string]any)
	if !ok {
		return nil, &Error{Attempt: attempt, Code: CodeSyntax, Why: "an SDF document is a map", Hint: `begin with {"info": {...}, ...}`}
	}
	return &Document{tree: tree, limits: limits.orDefault()}, nil
}

// NewDocument makes a document of a tree, which belongs to it from then on.
func NewDocument(tree map[string]any) *Document {
	return &Document{tree: tree, limits: DefaultLimits}
}

// Read reads a model from outside: JSON, in the names of today or of the drafts, valid by the framework's schema and beyond it, every
// reference carried out. The warnings are for whoever maintains the model. imports may be nil: then nothing outside the document is known.
func Read(text []byte, limits Limits, imports Imports) (*Document, []Problem, error) {
	written, err := Parse(text, limits)
	if err != nil {
		return nil, nil, err
	}
	modern, warnings := written.Modernize()
	if err := modern.Validate(Framework); err != nil {
		return nil, warnings, err
	}
	resolved, err := modern.Resolve(imports)
	if err != nil {
		return nil, warnings, err
	}
	return resolved, warnings, resolved.Check()
}

// Tree is the whole document; not to be changed.
func (d *Document) Tree() map[string]any { return d.tree }

// JSON writes the document, names in order.
func (d *Document) JSON() ([]byte, error) { return EncodeJSON(d.tree) }

// CBOR writes the document.
func (d *Document) CBOR() ([]byte, error) { return EncodeCBOR(d.tree) }

// At returns what a pointer leads to.
func (d *Document) At(p Pointer) (any, bool) {
	var value any = d.tree
	for _, name := range p {
		object, ok := value.(map[string]any)
		if !ok {
			return nil, false // a pointer into an array names no definition
		}
		if value, ok = object[name]; !ok {
			return nil, false
		}
	}
	return value, true
}

// Namespace returns the URI of a prefix; that of "" is the target namespace of the document (RFC 9880, section 4.2).
func (d *Document) Namespace(prefix string) (uri string, ok bool) {
	if prefix == "" {
		if prefix, ok = d.tree["defaultNamespace"].(string); !ok {
			return "", false
		}
	}
	namespaces, _ := d.tree["namespace"].(map[string]any)
	uri, ok = namespaces[prefix].(string)
	return uri, ok
}

// GlobalName is the name that the whole world knows a definition of this document by, or "" if it contributes to no namespace.
func (d *Document) GlobalName(p Pointer) string {
	uri, ok := d.Namespace("")
	if !ok {
		return ""
	}
	return uri + "#" + p.fragment()
}

func (d *Document) root() definition { return definition{roleDocument, nil, d.tree} }

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// clone copies a value. budget counts what is copied; an error means that it is used up.
func clone(value any, budget *int) (any, error) {
	if *budget--; *budget < 0 {
		return nil, errBudget
	}
	switch v := value.(type) {
	case map[string]any:
		copied := make(map[string]any, len(v))
		for name, item := range v {
			*budget--
			c, err := clone(item, budget)
			if err != nil {
				return nil, err
			}
			copied[name] = c
		}
		return copied, nil
	case []any:
		copied := make([]any, len(v))
		for i, item := range v {
			c, err := clone(item, budget)
			if err != nil {
				return nil, err
			}
			copied[i] = c
		}
		return copied, nil
	}
	return value, nil
}

var errBudget = fmt.Errorf("the budget of values is used up")
