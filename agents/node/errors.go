package node

import "github.com/edgehold/edgehold/agents/node/fault"

// Error is what a person sees of a failure that this package found.
type Error = fault.Error
