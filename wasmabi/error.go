package wasmabi

// MalformedError says why bytes were refused.
type MalformedError struct {
	Message string // "observation", "manifest", ...
	Offset  int    // where in the message, in bytes
	Problem string // what was found there
}

// Error says what was attempted and what was wrong.
func (e *MalformedError) Error() string {
	return "decode " + e.Message + ": byte " + decimal(uint64(e.Offset)) + ": " + e.Problem
}

// ErrorCode is stable: "abi.malformed".
func (e *MalformedError) ErrorCode() string { return "abi.malformed" }

// ErrorWhy is the problem alone.
func (e *MalformedError) ErrorWhy() string { return e.Problem }

// ErrorHint says what to do.
func (e *MalformedError) ErrorHint() string {
	return "encode the message as wasmabi/schema.cddl says; wasmabi/testdata/vectors has examples"
}

// decimal is strconv.FormatUint in base ten, without what strconv would link into a guest.
func decimal(v uint64) string {
	var b [20]byte
	i := len(b)
	for {
		i--
		b[i] = byte('0' + v%10)
		if v /= 10; v == 0 {
			return string(b[i:])
		}
	}
}
