package sdf

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Imports finds the document that defines a name of another namespace; nil means that nobody knows it.
type Imports func(namespace string, p Pointer) *Document

// Library is Imports over a few documents.
func Library(documents ...*Document) Imports {
	return func(namespace string, p Pointer) *Document {
		for _, d := range documents {
			if uri, ok := d.Namespace(""); ok && uri == namespace {
				if _, found := d.At(p); found {
					return d
				}
			}
		}
		return nil
	}
}

// Resolve carries out every sdfRef: what it names is copied, with its own references carried out, and what stands beside the sdfRef is
// merged into it (RFC 9880, section 4.4; RFC 7396), where null removes. Cycles are an error, and so is a result beyond the limits of d: a
// dozen definitions that use each other ten times are billions.
func (d *Document) Resolve(imports Imports) (*Document, error) {
	return d.resolve(imports, false)
}

// resolve leaves references that lead outside of what is known, if lenient is true.
func (d *Document) resolve(imports Imports, lenient bool) (*Document, error) {
	r := resolver{imports: imports, lenient: lenient, budget: d.limits.Values, depth: d.limits.Depth}
	tree, err := r.value(d, d.tree, nil)
	if errors.Is(err, errBudget) {
		err = tooLarge("resolve the SDF document", "values once its references are carried out", d.limits.Values)
	}
	if err != nil {
		return nil, err
	}
	return &Document{tree: tree.(map[string]any), limits: d.limits}, nil
}

// longestChain bounds how many definitions are based on each other. Models have three or four.
const longestChain = 64

type resolver struct {
	imports Imports
	lenient bool
	budget  int
	depth   int
	level   int
	// open are the names whose definitions are being copied, outermost first.
	open []string
}

func (r *resolver) value(home *Document, value any, at Pointer) (any, error) {
	object, ok := value.(map[string]any)
	if !ok {
		return clone(value, &r.budget)
	}
	r.level++
	defer func() { r.level-- }()
	if r.level > r.depth+1 {
		return nil, tooLarge("resolve the SDF document", "levels once its references are carried out", r.depth)
	}
	text, isReference := object["sdfRef"].(string)
	if !isReference {
		return r.members(home, object, at)
	}
	return r.reference(home, object, at, text)
}

func (r *resolver) members(home *Document, object map[string]any, at Pointer) (map[string]any, error) {
	resolved := make(map[string]any, len(object))
	for _, name := range sortedNames(object) { // in order, so that an error is the same each time
		if r.budget--; r.budget < 0 {
			return nil, errBudget
		}
		v, err := r.value(home, object[name], at.Child(name))
		if err != nil {
			return nil, err
		}
		resolved[name] = v
	}
	return resolved, nil
}

func (r *resolver) reference(home *Document, object map[string]any, at Pointer, text string) (any, error) {
	target, source, err := r.find(home, at, text)
	if err != nil || source == nil {
		if err == nil { // lenient
			return clone(object, &r.budget)
		}
		return nil, err
	}
	name := fmt.Sprintf("%p#%s", source, target)
	if slices.Contains(r.open, name) {
		return nil, &Error{Attempt: "resolve " + at.String(), Code: CodeCycle, Why: fmt.Sprintf("%s is made of itself", text), Hint: "break the circle of sdfRef"}
	}
	if len(r.open) >= longestChain {
		return nil, tooLarge("resolve "+at.String(), "references one after the other", longestChain)
	}
	if r.budget--; r.budget < 0 {
		return nil, errBudget
	}
	r.open = append(r.open, name)
	found, _ := source.At(target)
	original, err := r.value(source, found, target)
	r.open = r.open[:len(r.open)-1]
	if err != nil {
		return nil, err
	}
	patch := maps.Clone(object)
	delete(patch, "sdfRef")
	return r.merge(home, original, patch, at)
}

// merge applies a patch (RFC 7396) and carries out the references that the patch brings: its definitions are laid over those of the original first.
func (r *resolver) merge(home *Document, original any, patch map[string]any, at Pointer) (any, error) {
	merged, ok := original.(map[string]any)
	if !ok {
		merged = map[string]any{}
	}
	for _, name := range sortedNames(patch) {
		change := patch[name]
		switch c := change.(type) {
		case nil:
			delete(merged, name)
			continue
		case map[string]any:
			v, err := r.mergeMember(home, merged[name], c, at.Child(name))
			if err != nil {
				return nil, err
			}
			merged[name] = v
			continue
		}
		v, err := clone(change, &r.budget)
		if err != nil {
			return nil, err
		}
		merged[name] = v
	}
	return merged, nil
}

func (r *resolver) mergeMember(home *Document, original any, patch map[string]any, at Pointer) (any, error) {
	if r.budget--; r.budget < 0 {
		return nil, errBudget
	}
	if text, ok := patch["sdfRef"].(string); ok {
		whole, err := r.merge(home, original, withoutRef(patch), at)
		if err != nil {
			return nil, err
		}
		with := maps.Clone(whole.(map[string]any))
		with["sdfRef"] = text
		return r.reference(home, with, at, text)
	}
	return r.merge(home, original, patch, at)
}

func withoutRef(object map[string]any) map[string]any {
	rest := maps.Clone(object)
	delete(rest, "sdfRef")
	return rest
}

// find returns the document and the pointer that a reference means. No document and no error: left as it is.
func (r *resolver) find(home *Document, at Pointer, text string) (Pointer, *Document, error) {
	reference, err := ParseReference(text)
	if err != nil {
		return nil, nil, dangling(at, err.Error())
	}
	source := home
	if _, here := home.At(reference.Pointer); reference.Prefix != "" || !here {
		source = r.elsewhere(home, reference)
	}
	switch {
	case source == nil && r.lenient && reference.Prefix != "" && home.declares(reference.Prefix):
		return nil, nil, nil
	case source == nil:
		return nil, nil, dangling(at, fmt.Sprintf("%s names nothing that is known here", shorten(text)))
	}
	if found, ok := source.At(reference.Pointer); !ok || !isMap(found) {
		return nil, nil, dangling(at, fmt.Sprintf("%s names no definition", shorten(text)))
	}
	return reference.Pointer, source, nil
}

// elsewhere looks for a name in the namespace of its prefix; a document may use its own.
func (r *resolver) elsewhere(home *Document, reference Reference) *Document {
	uri, declared := home.Namespace(reference.Prefix)
	if !declared {
		return nil
	}
	if own, ok := home.Namespace(""); ok && own == uri {
		if _, here := home.At(reference.Pointer); here {
			return home
		}
	}
	if r.imports == nil {
		return nil
	}
	return r.imports(uri, reference.Pointer)
}

func (d *Document) declares(prefix string) bool {
	_, declared := d.Namespace(prefix)
	return declared
}

func isMap(value any) bool {
	_, ok := value.(map[string]any)
	return ok
}

func dangling(at Pointer, why string) error {
	return &Error{Attempt: strings.TrimSpace("resolve " + at.String()), Code: CodeReference, Why: why, Hint: "define it, declare its namespace, or give the document that has it"}
}
