package ring_test

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/edgehold/edgehold/telemetry/ring"
)

// A policy that wants to be woken when the load of all workers together goes past a bound.
func ExampleSelection_Watch() {
	store, err := ring.New(ring.Config{})
	if err != nil {
		panic(err)
	}
	load, err := store.Select(ring.Request{Name: "worker_load", Reduce: ring.Sum})
	if err != nil {
		panic(err)
	}
	defer load.Close()
	load.Watch(ring.Bounds{Above: 1.5, Below: math.NaN()}, func(c ring.Crossing) {
		fmt.Printf("%.1f is above %.1f\n", c.Value, c.Limit)
	})

	now := time.Now().UnixMilli()
	for i, v := range []float64{0.5, 0.9, 1.2} {
		worker := []ring.Label{{Name: "worker", Value: fmt.Sprint(i % 2)}}
		if err := store.Append("worker_load", worker, now+int64(i), v); err != nil {
			panic(err)
		}
	}
	// Output: 2.1 is above 1.5
}

func ExampleStore_Query() {
	store, err := ring.New(ring.Config{})
	if err != nil {
		panic(err)
	}
	begin := time.Now().Add(-time.Minute)
	for i := range 61 {
		at := begin.Add(time.Duration(i) * time.Second)
		if err := store.Append("requests_total", nil, at.UnixMilli(), float64(5*i)); err != nil {
			panic(err)
		}
	}
	res, err := store.Query(context.Background(), "rate(requests_total[30s])", begin.Add(time.Minute))
	if err != nil {
		panic(err)
	}
	fmt.Printf("%.0f a second\n", res.Series[0].Points[0].Value)
	// Output: 5 a second
}
