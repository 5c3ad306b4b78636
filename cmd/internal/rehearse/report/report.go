// Package report is what a rehearsal found, as JSON between the program that runs guests and the one that people type.
// It runs nothing: package rehearse does.
package report

// Report is about one or two modules that saw the same passes.
type Report struct {
	Passes  int      `json:"passes"`
	Source  string   `json:"source"` // "made up" or which decision
	Modules []Module `json:"modules"`
}

// Module is what one module cost.
type Module struct {
	Name        string      `json:"name"`
	Version     string      `json:"version"`
	Digest      string      `json:"digest"`
	SizeBytes   int64       `json:"size_bytes"`
	PrepareNS   int64       `json:"prepare_ns"` // checking, rewriting, compiling and freezing, with an empty cache
	MemoryBytes uint64      `json:"memory_bytes"`
	Planned     int         `json:"planned"` // passes that wanted a plan
	Operations  []Operation `json:"operations"`
	Failures    int         `json:"failures"`
	Failure     *Failure    `json:"failure,omitempty"` // the first one
}

// Operation is what the calls of one operation cost.
type Operation struct {
	Op      string `json:"op"`
	Calls   int    `json:"calls"`
	FuelP50 uint64 `json:"fuel_p50"`
	FuelMax uint64 `json:"fuel_max"`
	P50NS   int64  `json:"p50_ns"`
	P99NS   int64  `json:"p99_ns"`
	Bytes   int    `json:"response_bytes"` // the largest response
}

// Failure is a call that gave no response.
type Failure struct {
	Pass    int      `json:"pass"`
	Op      string   `json:"op"`
	Code    string   `json:"code"`
	Message string   `json:"message"`
	Stack   []string `json:"stack,omitempty"`
	Log     []string `json:"log,omitempty"`
}

// Input is what a pass is made from instead of made-up values: by metric, as a decision recorded them.
type Input struct {
	Source string        `json:"source"`
	Values []MetricValue `json:"values"`
}

// MetricValue is one metric as a policy saw it.
type MetricValue struct {
	Metric string  `json:"metric"`
	Value  float64 `json:"value"`
	AgeMS  uint32  `json:"age_ms"`
}
