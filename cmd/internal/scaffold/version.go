package scaffold

import "go/version"

// newEnough reports whether a Go of this version builds policies. Development versions are trusted.
func newEnough(v string) bool {
	return !version.IsValid(v) || version.Compare(v, "go"+GoVersion) >= 0
}
