package host

import "github.com/edgehold/edgehold/host/internal/guest"

// Handle is a capability granted to a session. Guests name it by its place in SessionConfig.Handles.
//
// Call performs op and appends its result to dst. in is the guest's own memory and valid during the call only. ctx
// carries the guest's deadline. The result may be asked for in two steps; the handle is called once for them. An error
// that is ErrDenied or ErrInvalid reaches the guest as that status, every other as a failure of the host; the message
// reaches it too.
type Handle = guest.Handle

// Errors for a Handle to return.
var (
	ErrDenied  = guest.ErrDenied
	ErrInvalid = guest.ErrInvalid
)
