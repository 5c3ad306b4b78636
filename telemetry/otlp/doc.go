// Package otlp receives metrics from applications by OTLP, over gRPC and over HTTP with protobuf or
// JSON, and puts them into the ring under the names that Prometheus would give them.
//
// It is not a Collector: it forwards nothing, and it takes metrics only.
//
// # Contract
//
//   - It listens on loopback addresses and unix sockets only, and not at all without an address.
//   - Everything a client can make large is bounded: messages, points of a request, series of a
//     client, clients, points a second, requests at a time. What is over is refused as the protocol
//     says: not retryable when it can't get better, with a delay when it can, and in part where only
//     some points are at fault.
//   - Names, units and attributes follow the OpenTelemetry specification's "Prometheus and
//     OpenMetrics compatibility". Deltas are added up; histograms become _bucket, _sum and _count.
package otlp
