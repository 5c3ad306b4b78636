package apiserver

// StatusOf is the status that a backend's error becomes.
func StatusOf(err error) int { return problemOf(err).Status }
