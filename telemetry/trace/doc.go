// Package trace records the spans of the control loop through the OpenTelemetry SDK: the last ones
// stay in memory, where decisions are explained from, and all of them go out by OTLP if somebody
// listens.
//
// It is not a tracing API for everyone: code that wants spans declares the small interface that it
// needs, with slog attributes, and never imports OpenTelemetry.
package trace
