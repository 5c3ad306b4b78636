package config

import (
	"fmt"
	"io/fs"
	"os/user"
	"strconv"
)

// DefaultSocketMode lets the daemon's user and the socket's group in.
const DefaultSocketMode = "0660"

// Mode is the socket's file mode. One that lets everybody in is refused: the mode is the socket's only guard.
func (a *API) Mode() (fs.FileMode, error) {
	mode, err := strconv.ParseUint(a.SocketMode, 8, 32)
	if err != nil || mode == 0 || mode&^0o770 != 0 {
		return 0, fmt.Errorf("read socket mode %q: it is not an octal file mode that keeps others out", a.SocketMode)
	}
	return fs.FileMode(mode), nil
}

// GroupID is the group that owns the socket; 0 keeps the daemon's.
func (a *API) GroupID() (int, error) {
	if a.SocketGroup == "" {
		return 0, nil
	}
	if id, err := strconv.ParseUint(a.SocketGroup, 10, 31); err == nil {
		return int(id), nil
	}
	group, err := user.LookupGroup(a.SocketGroup)
	if err != nil {
		return 0, fmt.Errorf("find the socket's group: %w", err)
	}
	return strconv.Atoi(group.Gid)
}
