// Package exposition writes the last value of every metric in the text format that Prometheus
// scrapes. It is not a registry: what it writes is what the ring holds.
package exposition

import (
	"bufio"
	"cmp"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/edgehold/edgehold/telemetry/ring"
)

// ContentType is that of the text format, version 0.0.4.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// Source is what is exposed; a [ring.Store] is one.
type Source interface {
	Latest(name string, ms ...ring.Matcher) ([]ring.Sample, error)
	Described() map[string]ring.Meta
}

// Handler answers scrapes of source.
func Handler(source Source) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "metrics are only read", http.StatusMethodNotAllowed)
			return
		}
		w.Header().Set("Content-Type", ContentType)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if r.Method == http.MethodGet {
			_ = Write(w, source) // the client has gone
		}
	})
}

// Write writes all of source. Samples carry their own time: without it an old one would look as if
// it had been taken at the scrape.
func Write(to io.Writer, source Source) error {
	samples, err := source.Latest("")
	if err != nil {
		return err
	}
	out := bufio.NewWriter(to)
	for _, f := range group(samples, source.Described()) {
		f.write(out)
	}
	return out.Flush()
}

// family is what shares a TYPE line.
type family struct {
	name    string
	meta    ring.Meta
	samples []ring.Sample
}

// suffixes are those that belong to the family of the name before them.
var suffixes = map[ring.Kind][]string{
	ring.Histogram: {"_bucket", "_sum", "_count"},
	ring.Summary:   {"", "_sum", "_count"},
}

// group sorts samples into families, sorted by name.
func group(samples []ring.Sample, described map[string]ring.Meta) []*family {
	byName := make(map[string]*family)
	var all []*family
	for _, s := range samples {
		name := familyOf(s.Name, described)
		f := byName[name]
		if f == nil {
			f = &family{name: name, meta: described[name]}
			byName[name] = f
			all = append(all, f)
		}
		f.samples = append(f.samples, s)
	}
	slices.SortFunc(all, func(a, b *family) int { return cmp.Compare(a.name, b.name) })
	for _, f := range all {
		f.sort()
	}
	return all
}

// familyOf finds the histogram or summary that a series is part of.
func familyOf(name string, described map[string]ring.Meta) string {
	for _, suffix := range [...]string{"_bucket", "_sum", "_count"} {
		base, found := strings.CutSuffix(name, suffix)
		if found && slices.Contains(suffixes[described[base].Kind], suffix) {
			return base
		}
	}
	return name
}

// sort puts the parts of one histogram together, its buckets in the order of their bounds.
func (f *family) sort() {
	if suffixes[f.meta.Kind] == nil {
		return // the ring's order
	}
	type key struct {
		rest  string
		part  int
		bound float64
	}
	keys := make(map[*ring.Sample]key, len(f.samples))
	order := make([]*ring.Sample, len(f.samples))
	for i := range f.samples {
		s := &f.samples[i]
		rest, bound := split(s.Labels)
		keys[s] = key{rest, slices.Index(suffixes[f.meta.Kind], strings.TrimPrefix(s.Name, f.name)), bound}
		order[i] = s
	}
	slices.SortStableFunc(order, func(a, b *ring.Sample) int {
		x, y := keys[a], keys[b]
		return cmp.Or(cmp.Compare(x.rest, y.rest), cmp.Compare(x.part, y.part), cmp.Compare(x.bound, y.bound))
	})
	sorted := make([]ring.Sample, len(order))
	for i, s := range order {
		sorted[i] = *s
	}
	f.samples = sorted
}

// split takes the bound of a bucket or quantile from the other labels.
func split(labels []ring.Label) (rest string, bound float64) {
	var b strings.Builder
	for _, l := range labels {
		if l.Name == "le" || l.Name == "quantile" {
			if v, err := strconv.ParseFloat(l.Value, 64); err == nil {
				bound = v
			}
			continue
		}
		b.WriteString(strconv.Quote(l.Name))
		b.WriteString(strconv.Quote(l.Value))
	}
	return b.String(), bound
}

var (
	helpEscapes  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	valueEscapes = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
)

func (f *family) write(out *bufio.Writer) {
	if f.meta.Help != "" {
		writeAll(out, "# HELP ", f.name, " ", helpEscapes.Replace(f.meta.Help), "\n")
	}
	kind := cmp.Or(string(f.meta.Kind), "untyped")
	writeAll(out, "# TYPE ", f.name, " ", kind, "\n")
	for _, s := range f.samples {
		writeSample(out, s)
	}
}

func writeSample(out *bufio.Writer, s ring.Sample) {
	writeAll(out, s.Name)
	open := "{"
	for _, l := range s.Labels {
		writeAll(out, open, l.Name, `="`, valueEscapes.Replace(l.Value), `"`)
		open = ","
	}
	if len(s.Labels) > 0 {
		writeAll(out, "}")
	}
	writeAll(out, " ", number(s.Value), " ", strconv.FormatInt(s.UnixMS, 10), "\n")
}

func number(v float64) string {
	switch {
	case math.IsInf(v, 1):
		return "+Inf"
	case math.IsInf(v, -1):
		return "-Inf"
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

// writeAll leaves errors to Flush.
func writeAll(out *bufio.Writer, parts ...string) {
	for _, p := range parts {
		_, _ = out.WriteString(p)
	}
}
