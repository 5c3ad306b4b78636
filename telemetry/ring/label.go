package ring

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/prometheus/prometheus/model/labels"
)

// Label is one dimension of a series. A label with an empty value is the same as no label.
type Label struct{ Name, Value string }

// nameLabel is the label that Prometheus keeps a metric's name in.
const nameLabel = "__name__"

// maxLabels is the most that [Config.MaxLabels] may ask for: lookups sort on the stack.
const maxLabels = 64

func compareLabels(a, b Label) int { return strings.Compare(a.Name, b.Name) }

// normalise writes ls to buf without empty values and sorted by name.
func normalise(buf, ls []Label) []Label {
	sorted := true
	for _, l := range ls {
		if l.Value == "" {
			continue
		}
		sorted = sorted && (len(buf) == 0 || buf[len(buf)-1].Name < l.Name)
		buf = append(buf, l)
	}
	if !sorted {
		slices.SortFunc(buf, compareLabels)
	}
	return buf
}

// appendKey writes an unambiguous identity of the series: everything prefixed by its length.
func appendKey(dst []byte, name string, sorted []Label) []byte {
	dst = appendSized(dst, name)
	for _, l := range sorted {
		dst = appendSized(dst, l.Name)
		dst = appendSized(dst, l.Value)
	}
	return dst
}

func appendSized(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// checkLabels says what is wrong with a new series' identity; sorted is normalised.
func (c *Config) checkLabels(name string, sorted []Label) error {
	if len(sorted) > c.MaxLabels {
		return badLabels(name, fmt.Sprintf("it has %d labels, the most is %d", len(sorted), c.MaxLabels))
	}
	if err := c.checkName(name, name); err != nil {
		return err
	}
	for i, l := range sorted {
		if err := c.checkName(name, l.Name); err != nil {
			return err
		}
		switch {
		case l.Name == nameLabel:
			return badLabels(name, "label __name__ is reserved for the metric's name")
		case i > 0 && sorted[i-1].Name == l.Name:
			return badLabels(name, fmt.Sprintf("label %q is given twice", l.Name))
		case len(l.Value) > c.MaxValueBytes:
			return badLabels(name, fmt.Sprintf("the value of label %q has %d bytes, the most is %d", l.Name, len(l.Value), c.MaxValueBytes))
		case !utf8.ValidString(l.Value):
			return badLabels(name, fmt.Sprintf("the value of label %q is not UTF-8", l.Name))
		}
	}
	return nil
}

func (c *Config) checkName(metric, name string) error {
	switch {
	case name == "":
		return badLabels(metric, "a name is empty")
	case len(name) > c.MaxNameBytes:
		return badLabels(metric, fmt.Sprintf("a name has %d bytes, the most is %d", len(name), c.MaxNameBytes))
	case !plain(name):
		return badLabels(metric, fmt.Sprintf("name %q has more than letters, digits and _, or begins with a digit", name))
	}
	return nil
}

// plain is the form of names that every tool around Prometheus takes without quotes.
func plain(name string) bool {
	for i, c := range []byte(name) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z' || c == '_' || c == ':'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return true
}

func badLabels(name, why string) error {
	if len(name) > 64 {
		name = name[:64] + "..."
	}
	return &Error{
		code: "telemetry.bad-labels",
		what: fmt.Sprintf("add series %q", name),
		why:  why,
		hint: "shorten or drop labels where the metric is made",
	}
}

// promLabels is the form that the query engine wants.
func promLabels(name string, sorted []Label) labels.Labels {
	b := labels.NewScratchBuilder(len(sorted) + 1)
	b.Add(nameLabel, name)
	for _, l := range sorted {
		b.Add(l.Name, l.Value)
	}
	b.Sort()
	return b.Labels()
}

// plainLabels returns the labels of ls but the name.
func plainLabels(ls labels.Labels) (name string, rest []Label) {
	rest = make([]Label, 0, ls.Len())
	ls.Range(func(l labels.Label) {
		if l.Name == nameLabel {
			name = l.Value
			return
		}
		rest = append(rest, Label{l.Name, l.Value})
	})
	return name, rest
}
