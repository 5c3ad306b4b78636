package sign

// Bounds on what a client takes in. An honest repository is far below them: a root has about 2 KiB, a target 400 bytes.
const (
	maxRootBytes      = 64 << 10
	maxTimestampBytes = 16 << 10
	maxSnapshotBytes  = 16 << 10
	maxTargetsBytes   = 4 << 20
	maxSignatures     = 32
	maxKeys           = 64
	maxRotations      = 64 // roots taken in by one update; the next update goes on from there
)

// MaxModuleBytes bounds the modules that a repository lists.
const MaxModuleBytes = 8 << 20
