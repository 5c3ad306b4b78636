package adapter

import (
	"errors"

	"github.com/edgehold/edgehold/wasmabi"
)

// away is a failure that may pass.
type away struct{ cause error }

func (a *away) Error() string     { return a.cause.Error() }
func (a *away) Unwrap() error     { return a.cause }
func (a *away) ErrorCode() string { return "adapter.away" }

// Away marks an error as one that may pass: the device is switched off, starting, out of reach.
func Away(err error) error {
	if err == nil {
		return nil
	}
	return &away{err}
}

// IsAway reports whether an error was marked by [Away], or says that a device did not answer.
func IsAway(err error) bool {
	var a *away
	if errors.As(err, &a) {
		return true
	}
	var e *wasmabi.Error
	return errors.As(err, &e) && (e.Retryable || e.Code == wasmabi.CodeUnreached)
}

// IsNotFound reports whether an error says that there is no such file or key.
func IsNotFound(err error) bool {
	var e *wasmabi.Error
	return errors.As(err, &e) && e.Code == wasmabi.CodeNotFound
}

// Unknown is the error for a knob that the adapter does not have.
func Unknown(knob string) error {
	return &wasmabi.Error{Code: "adapter.no-such-knob", Message: "there is no knob " + knob}
}

// Failed is an error with a text.
func Failed(text string) error { return &wasmabi.Error{Code: "adapter.failed", Message: text} }
