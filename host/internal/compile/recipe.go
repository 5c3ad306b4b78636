// Package compile turns a checked module into an artefact that can be instantiated in microseconds: rewritten,
// initialised once, frozen, and compiled into the engine's cache on disk. It does so in a child process that can be
// killed. It does not judge modules (intake does) and does not run them afterwards.
package compile

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/edgehold/edgehold/host/internal/guest"
)

// Recipe is everything, beside the module, that decides what the artefact is.
type Recipe struct {
	MemoryLimit uint64       // bytes
	StackBytes  uint32       // for nested calls
	Initialise  guest.Limits // for the module's start and _initialize functions
	Plugin      bool         // an Extism plugin, not a guest of the ABI
}

// format is that of the file.
const format = "edgehold artefact 1"

// Key names the artefact of a module.
func (r Recipe) Key(digest [sha256.Size]byte) string {
	h := sha256.New()
	h.Write(digest[:])
	if err := canonical.NewEncoder(h).Encode([]any{format, program(), r}); err != nil {
		panic("hash a recipe: " + err.Error()) // a hash does not fail, and a recipe has an encoding
	}
	return hex.EncodeToString(h.Sum(nil))
}

// epoch is the time a module sees while it is initialised: the same everywhere, so that images are the same everywhere.
var epoch = time.Unix(1_700_000_000, 0)

// Error is why a module could not be made ready. It is the module's fault.
type Error struct {
	Code string `cbor:"1,keyasint"`
	Why  string `cbor:"2,keyasint"`
	Hint string `cbor:"3,keyasint"`
}

// Error says what failed.
func (e *Error) Error() string { return "make the module ready: " + e.Why }

// ErrorCode is stable.
func (e *Error) ErrorCode() string { return e.Code }

// ErrorWhy is the cause.
func (e *Error) ErrorWhy() string { return e.Why }

// ErrorHint says what to do.
func (e *Error) ErrorHint() string { return e.Hint }
