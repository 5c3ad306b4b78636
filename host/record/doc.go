// Package record keeps what crossed the boundary of a guest's session as an [Episode], plays it again, on this machine or
// another, and tries it with another module. It does not store episodes and does not decide which are worth keeping.
package record
