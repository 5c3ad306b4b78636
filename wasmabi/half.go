package wasmabi

import "math"

// half converts f to binary16 and reports whether the value is kept. NaN never is: it has its own rule.
func half(f float32) (uint16, bool) {
	bits := math.Float32bits(f)
	sign, exp, frac := uint16(bits>>16)&0x8000, int(bits>>23)&0xff, bits&0x7fffff
	switch {
	case exp == 0 && frac == 0:
		return sign, true
	case exp == 0xff:
		return sign | 0x7c00, frac == 0
	case exp >= 127-14 && exp <= 127+15:
		return sign | uint16(exp-112)<<10 | uint16(frac>>13), frac&0x1fff == 0
	case exp >= 127-24 && exp < 127-14: // subnormal in binary16
		shift := uint(126 - exp) // 14 to 23, of the 24-bit significand
		frac |= 0x800000
		return sign | uint16(frac>>shift), frac&(1<<shift-1) == 0
	}
	return 0, false
}

// unhalf converts binary16 to float64.
func unhalf(h uint16) float64 {
	exp, frac := int(h>>10)&0x1f, float64(h&0x3ff)
	var v float64
	switch exp {
	case 0:
		v = math.Ldexp(frac, -24)
	case 0x1f:
		v = math.Inf(1)
		if frac != 0 {
			return math.NaN()
		}
	default:
		v = math.Ldexp(frac+1024, exp-25)
	}
	if h&0x8000 != 0 {
		return -v
	}
	return v
}
