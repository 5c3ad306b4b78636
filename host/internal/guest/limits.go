package guest

import "time"

// Limits bound one call. Every field has to be set.
type Limits struct {
	Fuel          uint64        // units; about one for each instruction
	Slice         uint64        // units between two looks at the deadline
	Deadline      time.Duration // wall time
	HostCalls     uint32        // calls of functions in module edgehold1
	LogBytes      uint32        // what is written beyond is dropped
	ResponseBytes uint32        // of the guest's response and of a host call's result
	KernelBytes   uint64        // of the kernel that an Extism plugin shares with the host
	VarBytes      uint32        // of an Extism plugin's variables; 0 refuses them
}
