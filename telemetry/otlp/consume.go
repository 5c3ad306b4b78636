package otlp

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	collector "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"

	"github.com/edgehold/edgehold/telemetry/ring"
)

// feed takes the points of one resource.
type feed struct {
	receiver *Receiver
	client   *client
	batch    *ring.Batch
	base     []ring.Label // of every series
	nowMS    int64
	tally    *tally
	labels   []ring.Label // scratch
}

// tally counts what became of the points of a request.
type tally struct {
	accepted, rejected int64
	reasons            map[string]int64
	notes              map[string]bool // warnings about points that were accepted
}

const maxReasons = 8

func (t *tally) reject(points int, why string) {
	t.rejected += int64(points)
	if _, known := t.reasons[why]; known || len(t.reasons) < maxReasons {
		t.reasons[why] += int64(points)
	}
}

func (t *tally) note(what string) {
	if len(t.notes) < maxReasons {
		t.notes[what] = true
	}
}

// partial is nil if all is well.
func (t *tally) partial() *collector.ExportMetricsPartialSuccess {
	var parts []string
	for _, why := range slices.Sorted(maps.Keys(t.reasons)) {
		parts = append(parts, fmt.Sprintf("%d points refused: %s", t.reasons[why], why))
	}
	parts = append(parts, slices.Sorted(maps.Keys(t.notes))...)
	if len(parts) == 0 {
		return nil
	}
	return &collector.ExportMetricsPartialSuccess{RejectedDataPoints: t.rejected, ErrorMessage: strings.Join(parts, "; ")}
}

// consume puts a request into the ring.
func (r *Receiver) consume(req *collector.ExportMetricsServiceRequest) *tally {
	t := &tally{reasons: make(map[string]int64), notes: make(map[string]bool)}
	batch := r.store.Batch()
	for _, rm := range req.GetResourceMetrics() {
		r.consumeResource(rm, batch, t)
	}
	batch.Commit()
	r.counts.accepted.Add(uint64(t.accepted))
	r.counts.rejected.Add(uint64(t.rejected))
	return t
}

func (r *Receiver) consumeResource(rm *metrics.ResourceMetrics, batch *ring.Batch, t *tally) {
	attrs := rm.GetResource().GetAttributes()
	id := identify(attrs)
	nowMS := r.config.Clock().UnixMilli()
	c := r.clients.get(id.client(), nowMS, &r.config)
	if c == nil {
		t.reject(countResource(rm), fmt.Sprintf("%d clients are known, and that is the bound", r.config.MaxClients))
		return
	}
	f := &feed{receiver: r, client: c, batch: batch, base: r.baseLabels(id, attrs), nowMS: nowMS, tally: t}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, sm := range rm.GetScopeMetrics() {
		for _, m := range sm.GetMetrics() {
			f.metric(m)
		}
	}
}

// baseLabels are job, instance and what is promoted of the resource.
func (r *Receiver) baseLabels(id identity, attrs []*common.KeyValue) []ring.Label {
	var promoted []*common.KeyValue
	for _, kv := range attrs {
		if slices.Contains(r.config.Promote, kv.GetKey()) {
			promoted = append(promoted, kv)
		}
	}
	labels := appendLabels(nil, promoted)
	if job := id.job(); job != "" {
		labels = append(labels, ring.Label{Name: "job", Value: job})
	}
	if id.instance != "" {
		labels = append(labels, ring.Label{Name: "instance", Value: id.instance})
	}
	return labels
}

func (f *feed) metric(m *metrics.Metric) {
	points := countMetric(m)
	if points == 0 {
		return
	}
	name := metricName(m)
	if name == "" {
		f.tally.reject(points, "a metric has no name")
		return
	}
	if reserved := f.receiver.config.Reserved; reserved != nil && reserved(name) {
		f.tally.reject(points, "metric "+name+" is measured by this agent itself")
		return
	}
	switch data := m.GetData().(type) {
	case *metrics.Metric_Gauge:
		f.describe(name, m, ring.Gauge)
		for _, p := range data.Gauge.GetDataPoints() {
			f.number(name, p, false)
		}
	case *metrics.Metric_Sum:
		f.sum(name, m, data.Sum)
	case *metrics.Metric_Histogram:
		f.histograms(name, m, data.Histogram)
	case *metrics.Metric_ExponentialHistogram:
		f.exponentials(name, m, data.ExponentialHistogram)
	case *metrics.Metric_Summary:
		f.describe(name, m, ring.Summary)
		for _, p := range data.Summary.GetDataPoints() {
			f.summary(name, p)
		}
	}
}

func (f *feed) describe(name string, m *metrics.Metric, kind ring.Kind) {
	unit := m.GetUnit()
	_ = f.receiver.store.Describe(name, ring.Meta{Kind: kind, Unit: unit[:min(len(unit), 63)], Help: m.GetDescription()}) // bounded there
}

// sum takes a sum; one that does not only grow is a gauge in Prometheus.
func (f *feed) sum(name string, m *metrics.Metric, sum *metrics.Sum) {
	delta, err := isDelta(sum.GetAggregationTemporality())
	if err != nil {
		f.tally.reject(len(sum.GetDataPoints()), err.Error())
		return
	}
	kind := ring.Gauge
	if sum.GetIsMonotonic() {
		kind = ring.Counter
	}
	f.describe(name, m, kind)
	for _, p := range sum.GetDataPoints() {
		f.number(name, p, delta)
	}
}

func isDelta(t metrics.AggregationTemporality) (bool, error) {
	switch t {
	case metrics.AggregationTemporality_AGGREGATION_TEMPORALITY_DELTA:
		return true, nil
	case metrics.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE:
		return false, nil
	}
	return false, errors.New("its aggregation temporality is neither delta nor cumulative")
}

func (f *feed) number(name string, p *metrics.NumberDataPoint, delta bool) {
	v := p.GetAsDouble()
	if _, isInt := p.GetValue().(*metrics.NumberDataPoint_AsInt); isInt {
		v = float64(p.GetAsInt())
	}
	at := f.at(p.GetTimeUnixNano(), p.GetFlags(), delta)
	if p.GetValue() == nil && !at.ended {
		f.tally.reject(1, "a point has no value")
		return
	}
	f.settle(f.put(name, f.labelsOf(p.GetAttributes()), at, v))
}

// labelsOf returns the labels of a point, valid until the next call. What the resource says of its
// sender can't be changed by an attribute of a point.
func (f *feed) labelsOf(attrs []*common.KeyValue) []ring.Label {
	f.labels = appendLabels(f.labels[:0], attrs)
	f.labels = slices.DeleteFunc(f.labels, func(l ring.Label) bool {
		return slices.ContainsFunc(f.base, func(b ring.Label) bool { return b.Name == l.Name })
	})
	f.labels = append(f.labels, f.base...)
	slices.SortFunc(f.labels, func(a, b ring.Label) int { return strings.Compare(a.Name, b.Name) })
	return f.labels
}

// settle books one point.
func (f *feed) settle(err error) {
	switch {
	case err == nil, errors.Is(err, ring.ErrDuplicate): // a retry of what had arrived
		f.tally.accepted++
	default:
		f.tally.reject(1, err.Error())
	}
}

// moment is when and how a point counts.
type moment struct {
	unixMS int64
	delta  bool
	ended  bool // the series has no value from here on
}

func (f *feed) at(unixNano uint64, flags uint32, delta bool) moment {
	m := moment{unixMS: int64(unixNano / 1e6), delta: delta}
	if unixNano == 0 {
		m.unixMS = f.nowMS
	}
	noValue := uint32(metrics.DataPointFlags_DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK)
	m.ended = flags&noValue != 0
	return m
}

// put appends one sample to one series. Deltas are added to what the series had; one that comes
// twice is counted once.
func (f *feed) put(name string, sorted []ring.Label, at moment, v float64) error {
	e, err := f.client.entry(f.receiver.store, name, sorted, f.nowMS, &f.receiver.config)
	if err != nil {
		return err
	}
	switch {
	case at.ended:
		v = ring.StaleNaN
	case at.delta:
		if at.unixMS == e.lastMS {
			return ring.ErrDuplicate
		}
		if at.unixMS < e.lastMS && e.lastMS <= f.nowMS { // else the clock was set back, and the ring judges
			return ring.ErrOutOfOrder
		}
		v += e.total
	}
	if err := f.batch.Append(e.series, at.unixMS, v); err != nil {
		return err
	}
	e.lastMS = at.unixMS
	if at.delta && !at.ended {
		e.total = v
	}
	return nil
}
