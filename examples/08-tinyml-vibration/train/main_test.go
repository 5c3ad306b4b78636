package main

import (
	"bytes"
	"os"
	"testing"

	"github.com/edgehold/edgehold/examples/08-tinyml-vibration/data"
	"github.com/edgehold/edgehold/examples/08-tinyml-vibration/model"
)

// The committed weights are what the program makes of its data, byte for byte.
func TestWeightsAreReproducible(t *testing.T) {
	n := quantise(train(data.Make(windows, seed)))
	committed, err := os.ReadFile("../model/weights.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(source(&n), committed) {
		t.Error("train makes other weights than model/weights.go has: run it with -out")
	}
}

// The network in 8 bits tells windows apart that it has not seen, of seeds that training did not use.
func TestAccuracyOnHeldOutData(t *testing.T) {
	for seed := uint64(100); seed < 105; seed++ {
		all := data.Make(1000, seed)
		if got := accuracy(&model.Weights, all); got < 0.96 {
			t.Errorf("seed %d: %.1f %%", seed, 100*got)
		}
	}
}

// It knows no class better by giving up another.
func TestEachClassIsTold(t *testing.T) {
	var right, of [model.Classes]int
	for _, w := range data.Make(4000, 200) {
		of[w.Class]++
		if class, _ := model.Classify(&w.Samples); class == w.Class {
			right[w.Class]++
		}
	}
	for c := range right {
		if 10*right[c] < 9*of[c] {
			t.Errorf("%s: %d of %d", model.Names[c], right[c], of[c])
		}
	}
}
