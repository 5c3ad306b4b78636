package host

import (
	"strconv"
	"strings"
)

// functionName makes a person's name of a frame: without the signature that the engine writes behind it, without the file
// that linkers name modules after, and without Rust's decoration.
func functionName(frame string) string {
	if end := strings.LastIndexByte(frame, '('); end > 0 && onlyTypes(frame[end:]) {
		frame = frame[:end]
	}
	if _, name, ok := strings.Cut(frame, ".wasm."); ok && name != "" {
		frame = name
	}
	if name, ok := demangle(frame); ok {
		return name
	}
	return frame
}

// onlyTypes reports whether all letters are of the names of types: i32, f64, v128, externref.
func onlyTypes(signature string) bool {
	return strings.Trim(signature, "()0123456789, efinrtvx") == ""
}

// rustEscapes are what stands for the signs that a symbol can't hold.
var rustEscapes = strings.NewReplacer("$LT$", "<", "$GT$", ">", "$RF$", "&", "$BP$", "*", "$C$", ",", "$u20$", " ", "$u7b$", "{", "$u7d$", "}",
	"$LP$", "(", "$RP$", ")", "$u5b$", "[", "$u5d$", "]", "..", "::")

// demangle reads the older form of Rust's symbols, _ZN, the parts each after its length, a hash, E.
func demangle(symbol string) (string, bool) {
	rest, ok := strings.CutPrefix(symbol, "_ZN")
	if !ok {
		return "", false
	}
	var parts []string
	for rest != "E" {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		n, err := strconv.Atoi(rest[:digits])
		if err != nil || n > len(rest)-digits {
			return "", false
		}
		part := rest[digits : digits+n]
		rest = rest[digits+n:]
		if rest == "E" && len(part) == 17 && part[0] == 'h' { // the hash
			break
		}
		parts = append(parts, rustEscapes.Replace(strings.TrimPrefix(part, "_")))
	}
	return strings.Join(parts, "::"), len(parts) > 0
}
