package rollout

import (
	"encoding/binary"
	"hash/fnv"
	"math"
)

// Picks reports whether a canary that has the share fraction of the passes decides pass seq: a hash of both, so that the
// choice is the same wherever it is made, follows no period of the workload, and differs from one rollout to the next.
func Picks(rollout string, seq uint64, fraction float64) bool {
	if fraction >= 1 {
		return true
	}
	h := fnv.New64a()
	h.Write([]byte(rollout))
	h.Write(binary.LittleEndian.AppendUint64(nil, seq))
	return float64(mix(h.Sum64())) < fraction*math.MaxUint64
}

// mix spreads the last bits of a sum over all of it: the finalizer of SplitMix64.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}
