package mechanisms

// OnProbe calls fn at every point where a crash would leave a different trace.
func (s *Supervisor) OnProbe(fn func(point string)) { s.probe = fn }

// Abandon lets go of the state folder as a crash does: nothing is put back, nothing is written.
func (s *Supervisor) Abandon() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.lock.Close()
}

// SetCrashChild and CrashEnv tell TestMain what the re-executed test does.
func SetCrashChild(fn func()) { crashChild = fn }

// CrashEnv is the environment variable that makes the test executable the child.
const CrashEnv = crashEnv
