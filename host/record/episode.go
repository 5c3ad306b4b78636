package record

import (
	"time"

	"github.com/edgehold/edgehold/wasmabi"
)

// Episode is one session: what it started from and everything that crossed the boundary, in order.
type Episode struct {
	Module  string // digest of the module, "sha256:" and hex
	Image   string // digest of the frozen state
	Time    time.Time
	Seed    uint64
	Handles int // how many were granted
	Calls   []Call
	// Truncated says that the recorder's bound was reached: the calls are not complete and can't be replayed.
	Truncated bool
}

// Call is one call of the guest.
type Call struct {
	Op        wasmabi.Op
	Request   []byte
	Response  []byte
	Status    wasmabi.Status
	Fuel      uint64
	HostCalls []HostCall
	Error     string // code of the error that the call ended with; empty if it gave a response
	Message   string // of that error
}

// HostCall is one call through a handle that the guest made during a Call.
type HostCall struct {
	Handle, Op uint32
	Request    []byte
	Response   []byte // the whole result
	Status     wasmabi.Status
}
