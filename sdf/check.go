package sdf

import (
	"fmt"
	"net/url"
	"regexp"
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

func (c *checker) definition(d definition) {
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

// data checks the qualities of one type by themselves.
func (c *checker) data(d definition) {
	for _, pair := range [][2]string{{"minimum", "maximum"}, {"minLength", "maxLength"}, {"minItems", "maxItems"}} {
		c.order(d, pair[0], pair[1])
	}
	if n, found := d.qualities["multipleOf"]; found && compareNumbers(n, int64(0)) <= 0 {
		c.report(d.at, "multipleOf is not positive")
	}
	if pattern, ok := d.qualities["pattern"].(string); ok {
		if _, err := compilePattern(pattern); err != nil {
			c.report(d.at.Child("pattern"), "%v", err)
		}
	}
	c.enum(d)
	c.constants(d)
}

func (c *checker) order(d definition, least, most string) {
	low, high := d.qualities[least], d.qualities[most]
	if isNumber(low) && isNumber(high) && compareNumbers(low, high) > 0 {
		c.report(d.at, "%s is above %s", least, most)
	}
}

func (c *checker) enum(d definition) {
	names, _ := d.qualities["enum"].([]any)
	if names != nil && d.qualities["sdfChoice"] != nil {
		c.report(d.at, "enum stands beside sdfChoice")
	}
	seen := map[any]bool{}
	for _, name := range names {
		if text, ok := name.(string); ok && seen[text] {
			c.report(d.at.Child("enum"), "%q stands twice", shorten(text))
		}
		seen[name] = true
	}
}

// constants holds const and default against the rest of the qualities.
func (c *checker) constants(d definition) {
	q, err := parseData(d.qualities)
	if err != nil {
		c.report(d.at, "%v", err)
		return
	}
	for _, f := range []struct {
		quality string
		value   any
	}{{"const", q.Const}, {"default", q.Default}} {
		if f.value == nil {
			continue
		}
		alone := *q
		alone.Const = nil
		if err := alone.Check(f.value); err != nil {
			c.report(d.at.Child(f.quality), "%s", whyOf(err))
		}
	}
}

// lookAround finds what people use most of the rest of ECMA-262.
var lookAround = regexp.MustCompile(`\(\?[=!<]`)

// compilePattern reads a pattern: the part of ECMA-262 that RFC 9880, appendix D.2, allows is one that RE2 has too.
func compilePattern(pattern string) (*regexp.Regexp, error) {
	const longest = 1000
	if len(pattern) > longest {
		return nil, fmt.Errorf("the pattern is longer than %d bytes", longest)
	}
	compiled, err := regexp.Compile(pattern)
	if err != nil && lookAround.MatchString(pattern) {
		return nil, fmt.Errorf("the pattern looks around, which RFC 9880 does not allow")
	}
	return compiled, err
}
