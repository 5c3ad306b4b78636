// Command train trains the network on data that it makes itself, quantises it, and writes model/weights.go. The same program gives the same file:
//
//	go run ./examples/08-tinyml-vibration/train -out examples/08-tinyml-vibration/model/weights.go
package main

import (
	"bytes"
	"flag"
	"fmt"
	"go/format"
	"math"
	"math/rand/v2"
	"os"

	"github.com/edgehold/edgehold/examples/08-tinyml-vibration/data"
	"github.com/edgehold/edgehold/examples/08-tinyml-vibration/model"
)

// What is trained on, and how.
const (
	windows  = 4000
	seed     = 1
	epochs   = 100
	rate     = 0.03
	momentum = 0.9
	scale    = 1.0 / 64 // of a feature as the network in floats sees it
)

func main() {
	out := flag.String("out", "", "file to write; none shows the accuracy alone")
	flag.Parse()
	n := quantise(train(data.Make(windows, seed)))
	fmt.Printf("%.2f %% of other windows are told rightly\n", 100*accuracy(&n, data.Make(2000, seed+1)))
	if *out == "" {
		return
	}
	if err := os.WriteFile(*out, source(&n), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// network is the one that learns, in floats.
type network struct {
	w1, v1 [model.Hidden][model.Features + 1]float64 // the last is the bias; v is the momentum
	w2, v2 [model.Classes][model.Hidden + 1]float64
}

func train(all []data.Window) *network {
	r := rand.New(rand.NewPCG(seed, 9))
	n := &network{}
	for i := range n.w1 {
		for j := range n.w1[i] {
			n.w1[i][j] = r.NormFloat64() * math.Sqrt(2.0/model.Features)
		}
	}
	for i := range n.w2 {
		for j := range n.w2[i] {
			n.w2[i][j] = r.NormFloat64() * math.Sqrt(2.0/model.Hidden)
		}
	}
	for epoch := range epochs {
		step := rate / (1 + float64(epoch)/10)
		for _, i := range r.Perm(len(all)) {
			n.learn(&all[i], step)
		}
	}
	return n
}

func inputs(w *data.Window) (x [model.Features + 1]float64) {
	var q [model.Features]int8
	model.Spectrum(&w.Samples, &q)
	for i, v := range q {
		x[i] = float64(v) * scale
	}
	x[model.Features] = 1
	return x
}

// learn is one step of gradient descent on the cross entropy.
func (n *network) learn(w *data.Window, step float64) {
	x := inputs(w)
	var h [model.Hidden + 1]float64
	h[model.Hidden] = 1
	for i := range n.w1 {
		h[i] = max(dot(n.w1[i][:], x[:]), 0)
	}
	var out [model.Classes]float64
	for i := range out {
		out[i] = dot(n.w2[i][:], h[:])
	}
	softmax(&out)
	out[w.Class]-- // now the gradient
	var back [model.Hidden]float64
	for i := range n.w2 {
		for j := range back {
			back[j] += out[i] * n.w2[i][j]
		}
		descend(n.w2[i][:], n.v2[i][:], h[:], step*out[i])
	}
	for i := range n.w1 {
		if h[i] > 0 {
			descend(n.w1[i][:], n.v1[i][:], x[:], step*back[i])
		}
	}
}

func dot(a, b []float64) (sum float64) {
	for i := range a {
		sum += float64(a[i] * b[i]) // the conversion keeps processors from fusing the two, so that all give the same weights
	}
	return sum
}

func descend(w, v, x []float64, by float64) {
	for i := range w {
		v[i] = float64(momentum*v[i]) - float64((1-momentum)*by*x[i])
		w[i] += v[i]
	}
}

func softmax(out *[model.Classes]float64) {
	most, sum := out[0], 0.0
	for _, v := range out {
		most = max(most, v)
	}
	for i := range out {
		out[i] = math.Exp(out[i] - most)
		sum += out[i]
	}
	for i := range out {
		out[i] /= sum
	}
}

// quantise takes each layer's weights to 8 bits by one scale. A neuron of the first layer is at full range for the greatest result on the data.
func quantise(n *network) (q model.Network) {
	s1 := 127 / greatest(n.w1[:])
	reach := reach(n)
	// A result is the sum of products: of weights times s1, and of features times 1/scale.
	unit := s1 / scale
	for q.Shift = 0; reach*unit/float64(uint64(1)<<q.Shift) > 127; q.Shift++ {
	}
	for i := range n.w1 {
		for j := range q.W1[i] {
			q.W1[i][j] = int8(math.Round(n.w1[i][j] * s1))
		}
		q.B1[i] = int32(math.Round(n.w1[i][model.Features] * unit))
	}
	s2 := 127 / greatest(n.w2[:])
	hidden := unit / float64(uint64(1)<<q.Shift)
	for i := range n.w2 {
		for j := range q.W2[i] {
			q.W2[i][j] = int8(math.Round(n.w2[i][j] * s2))
		}
		q.B2[i] = int32(math.Round(n.w2[i][model.Hidden] * s2 * hidden))
	}
	return q
}

// greatest weight of a layer, biases left out.
func greatest[R [model.Features + 1]float64 | [model.Hidden + 1]float64](layer []R) (most float64) {
	for _, row := range layer {
		switch row := any(row).(type) {
		case [model.Features + 1]float64:
			most = greatestOf(most, row[:model.Features])
		case [model.Hidden + 1]float64:
			most = greatestOf(most, row[:model.Hidden])
		}
	}
	return most
}

func greatestOf(most float64, row []float64) float64 {
	for _, v := range row {
		most = max(most, math.Abs(v))
	}
	return most
}

// reach is the greatest result of the first layer on the data.
func reach(n *network) (most float64) {
	for _, w := range data.Make(windows, seed) {
		x := inputs(&w)
		for i := range n.w1 {
			most = max(most, dot(n.w1[i][:], x[:]))
		}
	}
	return most
}

func accuracy(n *model.Network, all []data.Window) float64 {
	right := 0
	for i := range all {
		var x [model.Features]int8
		model.Spectrum(&all[i].Samples, &x)
		if class, _ := n.Infer(&x); class == all[i].Class {
			right++
		}
	}
	return float64(right) / float64(len(all))
}

func source(n *model.Network) []byte {
	var b bytes.Buffer
	b.WriteString("// Code generated by train; DO NOT EDIT.\n\npackage model\n\n// Weights are what train has learnt.\nvar Weights = Network{\n")
	fmt.Fprintf(&b, "W1: %s,\nB1: %s,\nShift: %d,\nW2: %s,\nB2: %s,\n}\n", literal(n.W1), literal(n.B1), n.Shift, literal(n.W2), literal(n.B2))
	text, err := format.Source(b.Bytes())
	if err != nil {
		panic(err) // this program wrote it
	}
	return text
}

func literal(v any) string {
	switch v := v.(type) {
	case [model.Hidden][model.Features]int8:
		return rows("[Hidden][Features]int8", len(v), func(i int) string { return numbers(v[i][:]) })
	case [model.Classes][model.Hidden]int8:
		return rows("[Classes][Hidden]int8", len(v), func(i int) string { return numbers(v[i][:]) })
	case [model.Hidden]int32:
		return "[Hidden]int32" + numbers(v[:])
	case [model.Classes]int32:
		return "[Classes]int32" + numbers(v[:])
	}
	panic("no such part of a network")
}

func rows(kind string, n int, row func(int) string) string {
	var b bytes.Buffer
	b.WriteString(kind + "{\n")
	for i := range n {
		b.WriteString(row(i) + ",\n")
	}
	return b.String() + "}"
}

func numbers[T int8 | int32](all []T) string {
	var b bytes.Buffer
	for i, v := range all {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprint(&b, v)
	}
	return "{" + b.String() + "}"
}
