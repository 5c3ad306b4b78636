package wasmabi

// Version is the major version of the ABI, as written in [Manifest.ABI] and in the names below.
const Version = 1

// What a guest exports.
const (
	// ExportMemory is the guest's one linear memory; it is not shared.
	ExportMemory = "memory"
	// ExportMarker is a function without parameters and results that is never called; its name is the version.
	ExportMarker = "edgehold_abi_v1"
	// ExportWindow is func() i32: the address of the [Window] record, read once.
	ExportWindow = "edgehold_window"
	// ExportCall is func(op i32, requestLength i32) i64, the only entry point; see [Pack] for its result.
	ExportCall = "edgehold_call"
	// ExportInitialize is the reactor's optional start function; it runs only while an image is made.
	ExportInitialize = "_initialize"
)

// What a guest may import.
const (
	// ModuleHost is the import module of the host's functions.
	ModuleHost = "edgehold1"
	// ImportCall is func(handle, op, inPtr, inLen, outPtr, outCap i32) i64: every capability; see [Pack].
	ImportCall = "call"
	// ImportLog is func(level, ptr, len i32).
	ImportLog = "log"
	// ImportNow is func() i64: the episode's virtual time, nanoseconds since the Unix epoch.
	ImportNow = "now"
	// ImportRandom is func(ptr, len i32): fills memory from the episode's seed.
	ImportRandom = "random"
	// ImportMetric is func(id i32, bits i64): reports a float64 by its bits.
	ImportMetric = "metric"
	// ImportYield is func(): injected by the host. A module that imports it is refused.
	ImportYield = "yield"
	// ModuleWASI is the import module of the WASI functions that toolchains need.
	ModuleWASI = "wasi_snapshot_preview1"
)

// ManifestSection is the name of the custom section that holds the encoded [Manifest].
const ManifestSection = "edgehold.manifest"

// Sizes of the windows that the SDKs reserve, in bytes.
const (
	DefaultRequestWindow  = 64 << 10
	DefaultResponseWindow = 64 << 10
)

// Op names what a call asks of the guest.
type Op uint32

// The operations. A policy has to know OpInit, OpAnalyze and OpPlan; an adapter OpInit, OpOptions, OpState and
// OpApply.
const (
	OpInit    Op = 0 // request Init, response empty
	OpAnalyze Op = 1 // request Observation, response Analysis
	OpPlan    Op = 2 // request Observation, response Plan; to an adapter: request Settings, response Readings
	OpApply   Op = 3 // request Settings, response empty
	OpState   Op = 4 // request Names, response Readings
	OpOptions Op = 5 // request empty, response Options
	OpRevert  Op = 6 // request Settings, response empty

	// Those of a workload, which knows all four; OpStop may be unsupported.
	OpStart Op = 7  // request Start, response Emission
	OpInput Op = 8  // request Input, response Emission
	OpTick  Op = 9  // request Input without values, response Emission
	OpStop  Op = 10 // request empty, response Emission: the last

	OpSnapshot Op = 16 // request empty, response the context, raw bytes
	OpMigrate  Op = 17 // request Migrate, response the new context, raw bytes
	OpHealth   Op = 18 // request and response empty
)

// String returns the operation's name.
func (o Op) String() string {
	switch o {
	case OpInit:
		return "init"
	case OpAnalyze:
		return "analyze"
	case OpPlan:
		return "plan"
	case OpApply:
		return "apply"
	case OpState:
		return "state"
	case OpOptions:
		return "options"
	case OpRevert:
		return "revert"
	case OpStart:
		return "start"
	case OpInput:
		return "input"
	case OpTick:
		return "tick"
	case OpStop:
		return "stop"
	case OpSnapshot:
		return "snapshot"
	case OpMigrate:
		return "migrate"
	case OpHealth:
		return "health"
	}
	return "op-" + decimal(uint64(o))
}

// Status is the outcome of a call, in either direction.
type Status uint32

// The statuses. A guest returns StatusOK, StatusGuest, StatusUnsupported, StatusInvalid or StatusTooLarge.
const (
	StatusOK          Status = 0
	StatusGuest       Status = 1 // the response is an Error message
	StatusUnsupported Status = 2 // the guest does not know the operation
	StatusMore        Status = 3 // host call only: the result is kept and is longer than the out buffer
	StatusDenied      Status = 4 // host call only: the handle does not grant this
	StatusInvalid     Status = 5 // the request could not be decoded
	StatusTooLarge    Status = 6 // the response does not fit its window
	StatusHost        Status = 7 // host call only: the host failed
)

// String returns the status's name.
func (s Status) String() string {
	switch s {
	case StatusOK:
		return "ok"
	case StatusGuest:
		return "guest"
	case StatusUnsupported:
		return "unsupported"
	case StatusMore:
		return "more"
	case StatusDenied:
		return "denied"
	case StatusInvalid:
		return "invalid"
	case StatusTooLarge:
		return "too-large"
	case StatusHost:
		return "host"
	}
	return "status-" + decimal(uint64(s))
}

// Level is the severity of a log line that a guest writes.
type Level uint32

// The levels.
const (
	LevelDebug Level = 0
	LevelInfo  Level = 1
	LevelWarn  Level = 2
	LevelError Level = 3
)

// Pack makes the i64 that [ExportCall] and [ImportCall] return: the status in the high half, a length in the low one.
func Pack(s Status, length uint32) uint64 { return uint64(s)<<32 | uint64(length) }

// Unpack splits what [Pack] made.
func Unpack(v uint64) (Status, uint32) { return Status(v >> 32), uint32(v) }
