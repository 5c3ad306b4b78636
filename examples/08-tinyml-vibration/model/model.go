// Package model tells from 64 samples of vibration what state a machine is in: twelve bands of the spectrum, and a network of 12, 16 and 4
// neurons with weights of 8 bits. It computes in integers alone, so every processor gives the same answer. It does not learn: package
// main in train does.
package model

// Samples are those of one window.
const Samples = 64

// Classes of the network.
const (
	Off = iota
	Healthy
	Imbalance
	Bearing

	Classes = 4
)

// Names of the classes.
var Names = [Classes]string{"off", "healthy", "imbalance", "bearing"}

// Sizes of the layers.
const (
	Features = 12
	Hidden   = 16
)

// Network is two layers, quantised after training: a weight is a number of 8 bits times the layer's scale. The result of the first layer is
// shifted back to 8 bits.
type Network struct {
	W1    [Hidden][Features]int8
	B1    [Hidden]int32
	Shift uint8
	W2    [Classes][Hidden]int8
	B2    [Classes]int32
}

// Classify returns the most likely class of a window, and by how much of 255 it is ahead of the next.
func Classify(window *[Samples]int16) (class int, margin int32) {
	var x [Features]int8
	Spectrum(window, &x)
	return Weights.Infer(&x)
}

// Infer runs the network.
func (n *Network) Infer(x *[Features]int8) (class int, margin int32) {
	var h [Hidden]int32
	for i := range h {
		sum := n.B1[i]
		for j, v := range x {
			sum += int32(n.W1[i][j]) * int32(v)
		}
		h[i] = min(max(sum>>n.Shift, 0), 127) // ReLU, saturated
	}
	var out [Classes]int32
	for i := range out {
		out[i] = n.B2[i]
		for j, v := range h {
			out[i] += int32(n.W2[i][j]) * v
		}
	}
	return best(&out)
}

func best(out *[Classes]int32) (class int, margin int32) {
	for i, v := range out {
		if v > out[class] {
			class = i
		}
	}
	second := int32(-1 << 31)
	for i, v := range out {
		if i != class && v > second {
			second = v
		}
	}
	return class, min((out[class]-second)>>6, 255)
}

// bands are multiples of 6.25 Hz: close to each other where the machine turns, up to 150 Hz where a bearing rings.
var bands = [Features]int{2, 3, 4, 5, 7, 9, 12, 15, 17, 19, 21, 24}

// Spectrum fills in how strong each band is: the discrete Fourier transform at one frequency, squared, on a logarithmic scale of 4 for each doubling.
func Spectrum(window *[Samples]int16, x *[Features]int8) {
	mean := int32(0)
	for _, v := range window {
		mean += int32(v)
	}
	mean /= Samples
	for k := range x {
		var re, im int64
		for i, v := range window {
			at := i * bands[k] % Samples
			re += int64(int32(v)-mean) * int64(cosine[at])
			im += int64(int32(v)-mean) * int64(cosine[(at+3*Samples/4)%Samples])
		}
		re, im = re>>10, im>>10
		x[k] = logarithm(uint64(re*re + im*im))
	}
}

// logarithm is 4 times the binary logarithm, less an offset, within 8 bits.
func logarithm(v uint64) int8 {
	v++
	bits := int32(0)
	for v>>(bits+1) != 0 {
		bits++
	}
	fraction := int32(0)
	if bits >= 2 {
		fraction = int32(v>>(bits-2)) & 3
	}
	return int8(min(4*bits+fraction-40, 127))
}

// cosine of one turn in 64 steps, times 1024.
var cosine = [Samples]int16{
	1024, 1019, 1004, 980, 946, 903, 851, 792, 724, 650, 569, 483, 392, 297, 200, 100,
	0, -100, -200, -297, -392, -483, -569, -650, -724, -792, -851, -903, -946, -980, -1004, -1019,
	-1024, -1019, -1004, -980, -946, -903, -851, -792, -724, -650, -569, -483, -392, -297, -200, -100,
	0, 100, 200, 297, 392, 483, 569, 650, 724, 792, 851, 903, 946, 980, 1004, 1019,
}
