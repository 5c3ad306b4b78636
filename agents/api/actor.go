package api

import "fmt"

// Role bounds what an actor may ask.
type Role string

const (
	// RoleViewer may read.
	RoleViewer Role = "viewer"
	// RoleOperator may read and change.
	RoleOperator Role = "operator"
)

// Actor is who asks. It goes into the audit.
type Actor struct {
	// Via is "unix" for the socket, "token" for TCP, "daemon" for the daemon itself, "director" for signed assignments.
	Via string
	// Name is the user's or token's name; it may be empty for a user without a name.
	Name string
	// UID and PID are the peer's as the kernel reports them (SO_PEERCRED); only for "unix".
	UID, PID int
	Role     Role
}

// DaemonActor acts when nobody asked, for example at a rollback.
var DaemonActor = Actor{Via: "daemon", Role: RoleOperator}

// DirectorActor installs what the director assigns.
var DirectorActor = Actor{Via: "director", Role: RoleOperator}

// String is the form in the audit, for example "unix:uid=1000(ada)" or "token:ci".
func (a Actor) String() string {
	switch {
	case a.Via == "unix" && a.Name == "":
		return fmt.Sprintf("unix:uid=%d", a.UID)
	case a.Via == "unix":
		return fmt.Sprintf("unix:uid=%d(%s)", a.UID, a.Name)
	case a.Name == "":
		return a.Via
	}
	return a.Via + ":" + a.Name
}
