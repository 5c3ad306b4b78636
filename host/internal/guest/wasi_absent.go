package guest

// The rest of WASI preview 1, as package imports lists it. Standard libraries import these functions even if a program never opens a file; they are
// linked, so that such guests run, and say that there is nothing.

// absent answers for a function that this system does not have.
func absent(*scope, []uint64) uint64 { return errnoNosys }

// noDescriptor answers for a descriptor that is not open. Runtimes ask for directories until they hear this.
func noDescriptor(*scope, []uint64) uint64 { return errnoBadf }
