package telemetry

import (
	"time"

	"github.com/edgehold/edgehold/telemetry/attr"
	"github.com/edgehold/edgehold/telemetry/ring"
	"github.com/edgehold/edgehold/telemetry/sources"
)

// about is telemetry about telemetry.
func (p *Pipeline) about() sources.Source {
	return sources.Func(sources.Description{
		Name:  "telemetry",
		Every: 5 * time.Second,
		Metrics: []sources.Metric{
			{Name: attr.RingSeries, Kind: ring.Gauge, Help: "Series held now."},
			{Name: attr.RingBytes, Kind: ring.Gauge, Unit: "bytes", Help: "Encoded samples held now."},
			{Name: attr.RingSamples, Kind: ring.Counter, Help: "Samples taken."},
			{Name: attr.RingDropped, Kind: ring.Counter, Help: "Samples dropped, by reason."},
			{Name: attr.RingEvicted, Kind: ring.Counter, Help: "Series dropped because they were idle for a whole window."},
			{Name: attr.RingSqueezed, Kind: ring.Counter, Help: "Chunks given up because of the bound on bytes."},
			{Name: attr.RingSelections, Kind: ring.Gauge, Help: "Selections open now."},
			{Name: attr.RingCrossings, Kind: ring.Counter, Help: "Bounds crossed, as told to watches."},
			{Name: attr.RingQueries, Kind: ring.Counter, Help: "Queries, by outcome."},
			{Name: attr.OTLPRequests, Kind: ring.Counter, Help: "OTLP requests, by outcome."},
			{Name: attr.OTLPPoints, Kind: ring.Counter, Help: "OTLP data points, by outcome."},
			{Name: attr.OTLPClients, Kind: ring.Gauge, Help: "OTLP clients known now."},
			{Name: attr.SpansEnded, Kind: ring.Counter, Help: "Spans recorded."},
		},
	}, p.tell)
}

func (p *Pipeline) tell(sink *sources.Sink) error {
	p.tellRing(sink, p.store.Stats())
	if p.config.OTLP.GRPC != "" || p.config.OTLP.HTTP != "" {
		s := p.receiver.Stats()
		sink.Put(attr.OTLPRequests, float64(s.Requests-s.Refused), outcome("ok"))
		sink.Put(attr.OTLPRequests, float64(s.Refused), outcome("refused"))
		sink.Put(attr.OTLPPoints, float64(s.Accepted), outcome("ok"))
		sink.Put(attr.OTLPPoints, float64(s.Rejected), outcome("refused"))
		sink.Put(attr.OTLPClients, float64(s.Clients))
	}
	sink.Put(attr.SpansEnded, float64(p.tracer.Ended()))
	return nil
}

func (p *Pipeline) tellRing(sink *sources.Sink, s ring.Stats) {
	sink.Put(attr.RingSeries, float64(s.Series))
	sink.Put(attr.RingBytes, float64(s.Bytes))
	sink.Put(attr.RingSamples, float64(s.Appended))
	sink.Put(attr.RingEvicted, float64(s.EvictedSeries))
	sink.Put(attr.RingSqueezed, float64(s.Squeezed))
	sink.Put(attr.RingSelections, float64(s.Selections))
	sink.Put(attr.RingCrossings, float64(s.Crossings))
	sink.Put(attr.RingQueries, float64(s.Queries-s.FailedQueries), outcome("ok"))
	sink.Put(attr.RingQueries, float64(s.FailedQueries), outcome("failed"))
	for reason, n := range map[string]uint64{
		"duplicate": s.Duplicates, "out of order": s.OutOfOrder, "too old": s.TooOld, "too far ahead": s.TooFar,
		"too many series": s.RefusedSeries, "bad labels": s.RefusedLabels,
	} {
		sink.Put(attr.RingDropped, float64(n), ring.Label{Name: attr.Reason, Value: reason})
	}
}

func outcome(value string) ring.Label { return ring.Label{Name: attr.Outcome, Value: value} }
