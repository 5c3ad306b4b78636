package doctor

import (
	"context"

	"golang.org/x/sys/unix"
)

// memfd checks what copy-on-write images of guests need (memfd_create(2)).
func memfd(context.Context) Result {
	fd, err := unix.MemfdCreate("edgehold-doctor", unix.MFD_CLOEXEC)
	if err != nil {
		return Warn("allow memfd_create in the seccomp profile; without it each guest takes a whole copy of its memory", "memfd_create fails: %v", err)
	}
	unix.Close(fd)
	return OK("memfd_create works")
}
