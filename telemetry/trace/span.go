package trace

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	api "go.opentelemetry.io/otel/trace"
)

// Span is a stretch of time that has begun. It must be ended once.
type Span struct{ span api.Span }

// Start begins a span under the one that ctx carries, and returns a context that carries the new
// one.
func (t *Tracer) Start(ctx context.Context, name string, attrs ...slog.Attr) (context.Context, *Span) {
	ctx, span := t.tracer.Start(ctx, name, api.WithAttributes(convert(attrs)...))
	return ctx, &Span{span}
}

// TraceID is the trace's id as in W3C trace context, 32 hexadecimal digits.
func (s *Span) TraceID() string {
	if c := s.span.SpanContext(); c.HasTraceID() {
		return c.TraceID().String()
	}
	return ""
}

// Set adds attributes.
func (s *Span) Set(attrs ...slog.Attr) { s.span.SetAttributes(convert(attrs)...) }

// Event notes something at this moment.
func (s *Span) Event(name string, attrs ...slog.Attr) {
	s.span.AddEvent(name, api.WithAttributes(convert(attrs)...))
}

// End ends the span; an error marks it as failed.
func (s *Span) End(err error, attrs ...slog.Attr) {
	s.Set(attrs...)
	if err != nil {
		s.span.SetStatus(codes.Error, err.Error())
	}
	s.span.End()
}

// ID is the id of the trace that ctx carries, or empty.
func ID(ctx context.Context) string {
	if c := api.SpanContextFromContext(ctx); c.HasTraceID() {
		return c.TraceID().String()
	}
	return ""
}

// Parent returns ctx as a child of the span that a traceparent header names; ctx itself if the
// header is malformed.
func Parent(ctx context.Context, traceparent string) context.Context {
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": traceparent})
}

// Header returns the traceparent header of the span that ctx carries, or empty.
func Header(ctx context.Context) string {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier["traceparent"]
}

func convert(attrs []slog.Attr) []attribute.KeyValue {
	out := make([]attribute.KeyValue, 0, len(attrs))
	for _, a := range attrs {
		out = append(out, convertOne(a))
	}
	return out
}

func convertOne(a slog.Attr) attribute.KeyValue {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindBool:
		return attribute.Bool(a.Key, v.Bool())
	case slog.KindInt64:
		return attribute.Int64(a.Key, v.Int64())
	case slog.KindFloat64:
		return attribute.Float64(a.Key, v.Float64())
	}
	return attribute.String(a.Key, v.String())
}
