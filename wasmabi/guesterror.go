package wasmabi

// Error is the response of a call that returned [StatusGuest]: cold. It is the guest's own account of a failure.
type Error struct {
	Code      string // stable, kebab-case with dots
	Message   string // for people
	Retryable bool   // whether the same call may work later
}

// Error is the message with its code.
func (e *Error) Error() string {
	if e.Code == "" {
		return e.Message
	}
	return e.Message + " (" + e.Code + ")"
}

// ErrorCode is the guest's code.
func (e *Error) ErrorCode() string { return e.Code }

// AppendError appends the encoded m to dst.
func AppendError(dst []byte, m *Error) []byte {
	f := openFields(dst)
	f.text("code", m.Code)
	f.text("message", m.Message)
	f.bool("retryable", m.Retryable)
	return f.close()
}

// DecodeError decodes b into m.
func DecodeError(b []byte, m *Error) error {
	*m = Error{}
	r := reader{b: b, message: "error"}
	for k := r.keys(); k.next(); {
		switch k.key {
		case "code":
			m.Code = r.text(MaxName)
		case "message":
			m.Message = r.text(MaxText)
		case "retryable":
			m.Retryable = r.bool()
		default:
			r.skip(0)
		}
	}
	return r.finish()
}
