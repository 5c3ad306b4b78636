//go:build !race

package compile

const (
	boundsAddressSpace = true
	slowdown           = 1
)
