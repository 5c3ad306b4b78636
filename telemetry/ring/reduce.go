package ring

import "math"

// Reduce says how a selection makes one value of many series.
type Reduce string

// The reductions. The zero value is Last.
const (
	Last Reduce = "last" // the value of the series with the newest sample
	Sum  Reduce = "sum"
	Avg  Reduce = "avg"
	Min  Reduce = "min"
	Max  Reduce = "max"
)

// accumulator reduces samples one by one.
type accumulator struct {
	how                Reduce
	n                  int
	value              float64
	oldestMS, newestMS int64
}

func (a *accumulator) add(unixMS int64, v float64) {
	a.n++
	if a.n == 1 {
		a.value, a.oldestMS, a.newestMS = v, unixMS, unixMS
		return
	}
	switch a.how {
	case Sum, Avg:
		a.value += v
	case Min:
		a.value = math.Min(a.value, v)
	case Max:
		a.value = math.Max(a.value, v)
	default:
		if unixMS >= a.newestMS {
			a.value = v
		}
	}
	a.oldestMS, a.newestMS = min(a.oldestMS, unixMS), max(a.newestMS, unixMS)
}

func (a *accumulator) reading() Reading {
	switch {
	case a.n == 0:
		return Reading{Value: math.NaN()}
	case a.how == Avg:
		return Reading{Value: a.value / float64(a.n), UnixMS: a.oldestMS, Series: a.n}
	case a.how == Last:
		return Reading{Value: a.value, UnixMS: a.newestMS, Series: a.n}
	}
	return Reading{Value: a.value, UnixMS: a.oldestMS, Series: a.n}
}

func (a *accumulator) expiresMS(lookbackMS int64) int64 {
	if a.n == 0 {
		return math.MaxInt64
	}
	return a.oldestMS + lookbackMS
}
