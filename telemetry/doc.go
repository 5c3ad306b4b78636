// Package telemetry is everything that a node knows about itself and its applications: host metrics,
// metrics received by OTLP, a ring of the last minutes that policies are fed from and people query,
// a page for Prometheus, and the spans of the control loop.
//
// It is not a store for later and forwards no metrics; and it is the only importer of the
// OpenTelemetry SDK, so that nothing else depends on it.
//
// # Parts
//
//  1. [ring] keeps samples and tells selections about them.
//  2. [sources] and [otlp] put samples in.
//  3. [exposition] writes them out; PromQL reads them.
//  4. [trace] records spans.
//  5. [Pipeline] sets them up together; [Feed] is what a policy's metric request becomes.
package telemetry
