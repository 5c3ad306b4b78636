package sdf

import (
	"embed"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// Rules are the two syntaxes of RFC 9880, appendix B.
type Rules int

// Rules.
const (
	// Framework allows the qualities of extensions: what a reader applies that may meet them.
	Framework Rules = iota
	// Strict allows what the RFC names, and finds typing errors; qualities with a prefix that the document declares count as an extension
	// and are left out of the check, and so is sdfProtocolMap (draft-ietf-asdf-sdf-protocol-mapping).
	Strict
	// Exact allows what the RFC names and nothing else.
	Exact
)

//go:embed schema/*.jso.json
var schemas embed.FS

// compiled holds the schemas: most programs need none, some one.
var compiled = map[Rules]func() (*jsonschema.Schema, error){
	Framework: sync.OnceValues(func() (*jsonschema.Schema, error) { return compile("schema/sdf-framework.jso.json") }),
	Exact:     sync.OnceValues(func() (*jsonschema.Schema, error) { return compile("schema/sdf-validation.jso.json") }),
}

func compile(name string) (*jsonschema.Schema, error) {
	text, err := schemas.Open(name)
	if err != nil {
		return nil, err
	}
	defer text.Close()
	tree, err := jsonschema.UnmarshalJSON(text)
	if err != nil {
		return nil, err
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource(name, tree); err != nil {
		return nil, err
	}
	return compiler.Compile(name)
}

// Validate holds the document, as it is written, against the published schema.
func (d *Document) Validate(rules Rules) error {
	tree := any(d.tree)
	if rules == Strict {
		tree, rules = d.withoutExtensions(d.tree), Exact
	}
	schema, err := compiled[rules]()
	if err != nil {
		return fmt.Errorf("compile the schema of SDF: %w", err)
	}
	found, ok := errors.AsType[*jsonschema.ValidationError](schema.Validate(tree))
	if !ok {
		return nil
	}
	return problems("validate the SDF document", CodeSchema, "mend what is named; RFC 9880 has the qualities", leaves(found, nil))
}

// leaves collects the errors that have no further cause.
func leaves(e *jsonschema.ValidationError, all []Problem) []Problem {
	if len(e.Causes) == 0 && len(all) <= maxProblems {
		return append(all, Problem{At: e.InstanceLocation, Why: e.ErrorKind.LocalizedString(message.NewPrinter(language.English))})
	}
	for _, cause := range e.Causes {
		all = leaves(cause, all)
	}
	return all
}

// withoutExtensions copies the maps of a tree without the qualities that a declared extension brings.
func (d *Document) withoutExtensions(value any) any {
	object, ok := value.(map[string]any)
	if !ok {
		return value
	}
	kept := make(map[string]any, len(object))
	for name, item := range object {
		if !d.isExtension(name) {
			kept[name] = d.withoutExtensions(item)
		}
	}
	return kept
}

func (d *Document) isExtension(quality string) bool {
	if quality == "sdfProtocolMap" {
		return true
	}
	prefix, _, found := strings.Cut(quality, ":")
	if !found {
		return false
	}
	return prefix != "" && d.declares(prefix)
}
