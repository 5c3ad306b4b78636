package control

import "time"

// Paths of the calls. A file's and a socket's name travel in the query parameter "name".
const (
	pathFile    = "/file"
	pathGlob    = "/glob"
	pathStart   = "/start"
	pathWait    = "/wait"
	pathSignal  = "/signal"
	pathClock   = "/clock"
	pathConnect = "/connect"
	pathOff     = "/off"
)

// Ready is what a guest prints on its console when it begins to answer calls.
const Ready = "guest: ready"

// Command is a program to start in the guest.
type Command struct {
	Args []string // the program's path first
	Env  []string // KEY=value, added to an environment that holds PATH and HOME only
	// Output names the guest's file that receives standard output and error; empty discards them.
	Output string
}

// Exit is how a program ended.
type Exit struct {
	Code   int // -1 when a signal ended it
	Signal int // 0 when it ended by itself
}

// Signal is sent to a process of the guest, started by [Client.Start] or not.
type Signal struct {
	PID    int
	Number int
}

// clock is the wall time to set.
type clock struct{ Time time.Time }

// process names a started program.
type process struct{ PID int }
