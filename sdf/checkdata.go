package sdf

import (
	"fmt"
	"mime"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
)

// data checks the qualities of one type by themselves.
func (c *checker) data(d definition) {
	for _, pair := range [][2]string{{"minimum", "maximum"}, {"minLength", "maxLength"}, {"minItems", "maxItems"}} {
		c.order(d, pair[0], pair[1])
	}
	for _, pair := range [][2]string{{"exclusiveMinimum", "exclusiveMaximum"}, {"exclusiveMinimum", "maximum"}, {"minimum", "exclusiveMaximum"}} {
		if c.order(d, pair[0], pair[1]); isNumber(d.qualities[pair[0]]) && equal(d.qualities[pair[0]], d.qualities[pair[1]]) {
			c.report(d.at, "%s and %s leave nothing between them", pair[0], pair[1])
		}
	}
	if n, found := d.qualities["multipleOf"]; found && compareNumbers(n, int64(0)) <= 0 {
		c.report(d.at, "multipleOf is not positive")
	}
	if pattern, ok := d.qualities["pattern"].(string); ok {
		if _, err := compilePattern(pattern); err != nil {
			c.report(d.at.Child("pattern"), "%v", err)
		}
	}
	c.contentFormat(d)
	q, err := parseData(d.qualities)
	if err != nil {
		c.report(d.at, "%v", err)
		return
	}
	c.types(d, q)
	c.enum(d, q)
	c.constants(d, q)
	c.choices(d, q)
}

// sdfTypes are the types that those of RFC 9880, section 4.7, refine.
var sdfTypes = map[string][]string{ByteString: {TypeString}, UnixTime: {TypeNumber, TypeInteger}}

// types holds the qualities that go with one type against it.
func (c *checker) types(d definition, q *Data) {
	if refined := sdfTypes[q.SDFType]; q.Type != "" && refined != nil && !slices.Contains(refined, q.Type) {
		c.report(d.at.Child("sdfType"), "%s is no %s", q.SDFType, q.Type)
	}
	if len(q.Enum) > 0 && q.Type != "" && q.Type != TypeString {
		c.report(d.at.Child("enum"), "its values are texts, and the type is %s", q.Type)
	}
	c.twice(d.at.Child("required"), q.RequiredNames)
}

func (c *checker) twice(at Pointer, names []string) {
	seen := make(map[string]bool, len(names))
	for _, name := range names {
		if seen[name] {
			c.report(at, "%q stands twice", shorten(name))
		}
		seen[name] = true
	}
}

// contentFormat is a media type, or the number of a Content-Format (RFC 7252, section 12.3).
func (c *checker) contentFormat(d definition) {
	text, ok := d.qualities["contentFormat"].(string)
	if !ok {
		return
	}
	if _, err := strconv.ParseUint(text, 10, 16); err == nil {
		return
	}
	if kind, _, err := mime.ParseMediaType(text); err != nil || !strings.Contains(kind, "/") {
		c.report(d.at.Child("contentFormat"), "%q is neither a media type nor the number of a Content-Format", shorten(text))
	}
}

// choices holds the constant of each choice against what is said of all of them, and against the others.
func (c *checker) choices(d definition, q *Data) {
	all := *q
	all.Choice, all.Const, all.Default, all.Pattern = nil, nil, nil, "" // there may be thousands, and to compile a pattern takes its time
	stands := map[any]string{}
	for _, name := range sortedNames(q.Choice) {
		constant := q.Choice[name].Const
		if constant == nil {
			continue
		}
		at := d.at.Child("sdfChoice", name, "const")
		if err := all.Check(constant); err != nil {
			c.report(at, "%s", whyOf(err))
		}
		key, ok := scalar(constant)
		if !ok {
			continue
		}
		if other, twice := stands[key]; twice {
			c.report(at, "%s is that of %q, too", describe(constant), shorten(other))
		}
		stands[key] = name
	}
}

func (c *checker) enum(d definition, q *Data) {
	if len(q.Enum) > 0 && d.qualities["sdfChoice"] != nil {
		c.report(d.at, "enum stands beside sdfChoice")
	}
	c.twice(d.at.Child("enum"), q.Enum)
}

// constants holds const and default against the rest of the qualities.
func (c *checker) constants(d definition, q *Data) {
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
	const largest = 10_000
	if parsed, err := syntax.Parse(pattern, syntax.Perl); err == nil && patternSize(parsed) > largest {
		return nil, fmt.Errorf("the pattern repeats more than %d times", largest)
	}
	compiled, err := regexp.Compile(pattern)
	if err != nil && lookAround.MatchString(pattern) {
		return nil, fmt.Errorf("the pattern looks around, which RFC 9880 does not allow")
	}
	return compiled, err
}

// patternSize is about how many steps a pattern is compiled to: a few characters can ask for millions.
func patternSize(p *syntax.Regexp) int {
	n := 1
	for _, sub := range p.Sub {
		n += patternSize(sub)
	}
	if p.Op == syntax.OpLiteral {
		n += len(p.Rune)
	}
	if p.Op == syntax.OpRepeat {
		n *= max(p.Min, p.Max, 1)
	}
	return n
}
