package sdf

import (
	"fmt"
	"net/url"
	"strings"
)

// Check says what the schema can't: it carries out the references that the document holds itself (one that leads to another document is left),
// then looks at names, at what is required, and whether each constant, default and bound makes sense.
func (d *Document) Check() error {
	resolved, err := d.resolve(nil, true)
	if err != nil {
		return err
	}
	c := &checker{document: resolved}
	c.namespaces()
	d.root().walk(c.reference)
	resolved.root().walk(c.definition)
	return problems("check the SDF document", CodeInvalid, "mend what is named", c.found)
}

type checker struct {
	document *Document
	found    []Problem
}

func (c *checker) report(at Pointer, format string, args ...any) {
	if len(c.found) <= maxProblems {
		c.found = append(c.found, Problem{at, fmt.Sprintf(format, args...)})
	}
}

func (c *checker) namespaces() {
	namespaces, _ := c.document.tree["namespace"].(map[string]any)
	for _, prefix := range sortedNames(namespaces) {
		text, _ := namespaces[prefix].(string)
		if u, err := url.Parse(text); err != nil || u.Scheme == "" || u.Fragment != "" {
			c.report(Pointer{"namespace", prefix}, "%q is not an absolute URI without a fragment", shorten(text))
		}
	}
	if prefix, ok := c.document.tree["defaultNamespace"].(string); ok && !c.document.declares(prefix) {
		c.report(Pointer{"defaultNamespace"}, "the prefix %q is not declared in namespace", shorten(prefix))
	}
}

// reference checks what a definition says that it is based on, as it is written: that it is found resolving has seen.
func (c *checker) reference(d definition) {
	value, has := d.qualities["sdfRef"]
	text, ok := value.(string)
	if !ok {
		if has && value != nil {
			c.report(d.at.Child("sdfRef"), "%s is no text", describe(value)) // the schema lets true pass, which means something in sdfRequired alone
		}
		return
	}
	reference, err := ParseReference(text)
	if err != nil {
		return
	}
	switch r, what := lead(reference.Pointer); {
	case what == targetGroup:
		c.report(d.at.Child("sdfRef"), "%s is a group of definitions", shorten(text))
	case what == targetDefinition && r.kind() != d.role.kind():
		c.report(d.at.Child("sdfRef"), "%s is of another kind (%s)", shorten(text), r)
	}
}

// given checks the names that somebody gave: those with a colon are reserved, and no reference could hold a hash (RFC 9880, section 4.3).
func (c *checker) given(d definition) {
	for _, p := range parts[d.role] {
		held, _ := d.qualities[p.quality].(map[string]any)
		if !p.named || p.quality == "properties" {
			continue // names of members in data are the data's
		}
		for _, name := range sortedNames(held) {
			if name == "" || strings.ContainsAny(name, ":#") {
				c.report(d.at.Child(p.quality, name), "a name may neither be empty nor have : or # in it")
			}
		}
	}
}

func (c *checker) definition(d definition) {
	c.given(d)
	c.required(d)
	switch d.role {
	case roleThing, roleObject:
		c.order(d, "minItems", "maxItems")
	case roleProperty, roleData:
		c.data(d)
	}
}

// required checks that each member of sdfRequired names something.
func (c *checker) required(d definition) {
	list, _ := d.qualities["sdfRequired"].([]any)
	for _, item := range list {
		text, ok := item.(string)
		switch {
		case !ok: // true: d itself
		case !strings.ContainsAny(text, ":#"):
			if !hasMember(d, text) {
				c.report(d.at.Child("sdfRequired"), "%q is no name of an affordance here", shorten(text))
			}
		default:
			c.requiredPointer(d, text)
		}
	}
}

func hasMember(d definition, name string) (has bool) {
	d.each(func(below definition) { has = has || below.role != roleData && below.name() == name })
	return has
}

func (c *checker) requiredPointer(d definition, text string) {
	reference, err := ParseReference(text)
	if err != nil {
		c.report(d.at.Child("sdfRequired"), "%v", err)
		return
	}
	if _, found := c.document.At(reference.Pointer); !found && (reference.Prefix == "" || !c.document.declares(reference.Prefix)) {
		c.report(d.at.Child("sdfRequired"), "%s names nothing", shorten(text))
	}
}

func (c *checker) order(d definition, least, most string) {
	low, high := d.qualities[least], d.qualities[most]
	if isNumber(low) && isNumber(high) && compareNumbers(low, high) > 0 {
		c.report(d.at, "%s is above %s", least, most)
	}
}
