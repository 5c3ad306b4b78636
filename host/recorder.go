package host

import (
	"time"

	"github.com/edgehold/edgehold/wasmabi"
)

// Recorder is told everything that crosses the boundary of one session, in order: Begin, then for each call its host
// calls followed by the call itself. Slices are valid during the call only.
type Recorder interface {
	Begin(Origin)
	HostCall(HostCall)
	Call(Call)
}

// Origin is what a session starts from.
type Origin struct {
	Module string // digest, "sha256:" and hex
	Image  string // digest of the frozen state, likewise
	Time   time.Time
	Seed   uint64
	// Handles is how many were granted.
	Handles int
}

// HostCall is one call that the guest made through a handle.
type HostCall struct {
	Handle, Op uint32
	Request    []byte
	Response   []byte // the whole result, of which the guest may have collected less
	Status     wasmabi.Status
}

// Call is one call of the guest.
type Call struct {
	Op       wasmabi.Op
	Request  []byte
	Response []byte
	Status   wasmabi.Status
	Fuel     uint64
	Err      *CallError // nil when the status is StatusOK
}
