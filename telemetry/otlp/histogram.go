package otlp

import (
	"errors"
	"math"
	"slices"
	"strconv"

	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"

	"github.com/edgehold/edgehold/telemetry/ring"
)

// maxBuckets bounds the buckets of a histogram and the quantiles of a summary.
const maxBuckets = 200

func (f *feed) histograms(name string, m *metrics.Metric, h *metrics.Histogram) {
	delta, err := isDelta(h.GetAggregationTemporality())
	if err != nil {
		f.tally.reject(len(h.GetDataPoints()), err.Error())
		return
	}
	f.describe(name, m, ring.Histogram)
	for _, p := range h.GetDataPoints() {
		f.settle(f.histogram(name, p, delta))
	}
}

// histogram makes _bucket, _sum and _count of a point. Counts of OTLP are for each bucket alone,
// Prometheus' for it and all below.
func (f *feed) histogram(name string, p *metrics.HistogramDataPoint, delta bool) error {
	if err := checkHistogram(p); err != nil {
		return err
	}
	at := f.at(p.GetTimeUnixNano(), p.GetFlags(), delta)
	labels := f.labelsOf(p.GetAttributes())
	var below uint64
	for i, count := range p.GetBucketCounts() {
		below += count
		le := math.Inf(1)
		if i < len(p.GetExplicitBounds()) {
			le = p.GetExplicitBounds()[i]
		}
		if err := f.put(name+"_bucket", with(labels, "le", le), at, float64(below)); err != nil {
			return err
		}
	}
	if len(p.GetBucketCounts()) == 0 {
		if err := f.put(name+"_bucket", with(labels, "le", math.Inf(1)), at, float64(p.GetCount())); err != nil {
			return err
		}
	}
	return f.totals(name, labels, at, p.Sum, p.GetCount())
}

func checkHistogram(p *metrics.HistogramDataPoint) error {
	bounds, counts := p.GetExplicitBounds(), p.GetBucketCounts()
	switch {
	case len(counts) > maxBuckets:
		return errors.New("a histogram has more than " + strconv.Itoa(maxBuckets) + " buckets")
	case len(counts) > 0 && len(counts) != len(bounds)+1, len(counts) == 0 && len(bounds) > 0:
		return errors.New("a histogram's buckets do not fit its bounds")
	case !slices.IsSorted(bounds) || slices.ContainsFunc(bounds, math.IsNaN):
		return errors.New("a histogram's bounds do not grow")
	}
	return nil
}

// totals puts _sum, where there is one, and _count.
func (f *feed) totals(name string, labels []ring.Label, at moment, sum *float64, count uint64) error {
	if sum != nil {
		if err := f.put(name+"_sum", labels, at, *sum); err != nil {
			return err
		}
	}
	return f.put(name+"_count", labels, at, float64(count))
}

// exponentials keeps the sum and the count only: the bounds of exponential buckets move, and each
// move would make new series.
func (f *feed) exponentials(name string, m *metrics.Metric, h *metrics.ExponentialHistogram) {
	delta, err := isDelta(h.GetAggregationTemporality())
	if err != nil {
		f.tally.reject(len(h.GetDataPoints()), err.Error())
		return
	}
	f.describe(name, m, ring.Summary)
	f.tally.note("of exponential histograms only _sum and _count are kept; choose explicit bucket histograms to keep buckets")
	for _, p := range h.GetDataPoints() {
		at := f.at(p.GetTimeUnixNano(), p.GetFlags(), delta)
		f.settle(f.totals(name, f.labelsOf(p.GetAttributes()), at, p.Sum, p.GetCount()))
	}
}

func (f *feed) summary(name string, p *metrics.SummaryDataPoint) {
	f.settle(f.quantiles(name, p))
}

func (f *feed) quantiles(name string, p *metrics.SummaryDataPoint) error {
	if len(p.GetQuantileValues()) > maxBuckets {
		return errors.New("a summary has more than " + strconv.Itoa(maxBuckets) + " quantiles")
	}
	at := f.at(p.GetTimeUnixNano(), p.GetFlags(), false)
	labels := f.labelsOf(p.GetAttributes())
	for _, q := range p.GetQuantileValues() {
		if err := f.put(name, with(labels, "quantile", q.GetQuantile()), at, q.GetValue()); err != nil {
			return err
		}
	}
	sum := p.GetSum()
	return f.totals(name, labels, at, &sum, p.GetCount())
}

// with returns the labels with one more, in place of one of the same name.
func with(labels []ring.Label, name string, bound float64) []ring.Label {
	value := strconv.FormatFloat(bound, 'g', -1, 64)
	out := make([]ring.Label, 0, len(labels)+1)
	for _, l := range labels {
		if l.Name != name {
			out = append(out, l)
		}
	}
	at, _ := slices.BinarySearchFunc(out, name, func(l ring.Label, name string) int {
		if l.Name < name {
			return -1
		}
		return 1
	})
	return slices.Insert(out, at, ring.Label{Name: name, Value: value})
}
