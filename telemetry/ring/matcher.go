package ring

import (
	"fmt"

	"github.com/prometheus/prometheus/model/labels"
)

// Op is how a [Matcher] compares.
type Op string

// The operators of PromQL. The zero value is Equal.
const (
	Equal    Op = "="
	NotEqual Op = "!="
	Matches  Op = "=~" // RE2, anchored at both ends
	NotMatch Op = "!~"
)

// Matcher narrows a selection by one label. A label that a series lacks has the value "".
type Matcher struct {
	Name  string
	Op    Op
	Value string
}

var promOps = map[Op]labels.MatchType{
	"": labels.MatchEqual, Equal: labels.MatchEqual, NotEqual: labels.MatchNotEqual,
	Matches: labels.MatchRegexp, NotMatch: labels.MatchNotRegexp,
}

func compileMatchers(ms []Matcher) ([]*labels.Matcher, error) {
	out := make([]*labels.Matcher, 0, len(ms))
	for _, m := range ms {
		op, ok := promOps[m.Op]
		if !ok {
			return nil, badSelection(fmt.Sprintf("unknown operator %q", m.Op))
		}
		pm, err := labels.NewMatcher(op, m.Name, m.Value)
		if err != nil {
			return nil, badSelection(err.Error())
		}
		out = append(out, pm)
	}
	return out, nil
}

func matchAll(ms []*labels.Matcher, ls labels.Labels) bool {
	for _, m := range ms {
		if !m.Matches(ls.Get(m.Name)) {
			return false
		}
	}
	return true
}

func badSelection(why string) error {
	return &Error{
		code: "telemetry.bad-selection", what: "select metrics", why: why,
		hint: "give a metric name with label matchers, or a PromQL expression",
	}
}
