package server

import (
	"errors"
	"fmt"

	"github.com/edgehold/edgehold/lwm2m/coap"
)

// What callers branch on; each may be wrapped in an [Error].
var (
	ErrUnknownDevice = errors.New("device is not registered")
	ErrAsleep        = errors.New("device sleeps")
	ErrQueueFull     = errors.New("too many requests wait for the device")
	ErrTimeout       = errors.New("device does not answer")
	ErrGone          = errors.New("registration has ended")
)

// Error is an operation that failed, for a person to read.
type Error struct {
	Code string    // stable, "lwm2m-server.*"
	CoAP coap.Code // the device's answer, or the one that says the same: 4.04 for a device that is not registered, 5.04 for a time-out
	What string    // was attempted and failed
	Why  string
	Hint string
	Err  error
}

// Error says what was attempted and why it failed.
func (e *Error) Error() string { return e.What + ": " + e.Why }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ErrorCode returns the stable code.
func (e *Error) ErrorCode() string { return e.Code }

// ErrorWhy returns the cause in words.
func (e *Error) ErrorWhy() string { return e.Why }

// ErrorHint says what to do about it.
func (e *Error) ErrorHint() string { return e.Hint }

// CodeOf returns the CoAP code that an error of this package stands for: 5.00 if it is another's.
func CodeOf(err error) coap.Code {
	if e, ok := errors.AsType[*Error](err); ok && e.CoAP != 0 {
		return e.CoAP
	}
	return coap.InternalServerError
}

func unknownDevice(endpoint string) error {
	return &Error{Code: "lwm2m-server.unknown-device", CoAP: coap.NotFound, What: fmt.Sprintf("reach device %q", endpoint), Why: "no device of this name is registered",
		Hint: "list the devices; one that was registered comes back with its next registration", Err: ErrUnknownDevice}
}

// refusal is what is known of an answer that is no success, by its code.
type refusal struct{ code, why, hint string }

var refusals = map[coap.Code]refusal{
	coap.BadRequest:          {"bad-request", "the device finds the request malformed", "see that the value has the type and range of its resource"},
	coap.Unauthorized:        {"unauthorized", "the device lets this server not do that", "see the device's access control object (/2)"},
	coap.BadOption:           {"bad-option", "the device does not know an option of the request", "the device may speak an older version of LwM2M"},
	coap.Forbidden:           {"forbidden", "the device lets this server not do that", "see the device's access control object (/2)"},
	coap.NotFound:            {"not-found", "the device has no such object, instance or resource", "discover the object to see what it has"},
	coap.MethodNotAllowed:    {"not-allowed", "the operation is not allowed there", "see the resource's operations (R, W, E) in its object's definition"},
	coap.NotAcceptable:       {"not-acceptable", "the device has none of the formats that were asked for", "the device may need a newer firmware"},
	coap.EntityIncomplete:    {"incomplete", "the device lost a block of the request", "try again"},
	coap.Conflict:            {"conflict", "the device is in a state that does not allow it", "read the object's state and try again later"},
	coap.PreconditionFailed:  {"precondition", "a condition of the request does not hold", "read the resource and try again"},
	coap.EntityTooLarge:      {"too-large", "the value is larger than the device takes", "send less, or have the device fetch it by a URI"},
	coap.UnsupportedFormat:   {"format", "the device reads none of the formats that this server writes", "the device may need a newer firmware"},
	coap.UnprocessableEntity: {"unprocessable", "the device understood the value and can't take it", "see the resource's range"},
	coap.TooManyRequests:     {"too-many", "the device wants fewer requests", "wait and try again"},
	coap.InternalServerError: {"device-failed", "the device failed", "see the device's error codes (/3/0/11) and try again"},
	coap.NotImplemented:      {"not-implemented", "the device does not know the operation", "the device may speak an older version of LwM2M"},
	coap.ServiceUnavailable:  {"busy", "the device is busy", "wait and try again"},
}

// refused is the error of an answer that is no success. The device's own words are part of it if it has any.
func refused(what string, answer *coap.Message) error {
	r, ok := refusals[answer.Code]
	if !ok {
		r = refusal{"refused", "the device refuses it", "see the device's log"}
	}
	why := fmt.Sprintf("%s (%s)", r.why, answer.Code)
	if words := diagnosis(answer); words != "" {
		why += ": it says " + words
	}
	return &Error{Code: "lwm2m-server." + r.code, CoAP: answer.Code, What: what, Why: why, Hint: r.hint}
}

// diagnosis is the text that an error may carry (RFC 7252 §5.5.2), bounded and harmless in a log.
func diagnosis(m *coap.Message) string {
	const most = 240
	if format, ok := m.Uint(coap.ContentFormat); ok && format != 0 || len(m.Payload) == 0 {
		return ""
	}
	return fmt.Sprintf("%.*q", most, m.Payload)
}

// failed is the error of an exchange that got no answer.
func failed(what string, err error) error {
	e := &Error{What: what, Err: err}
	switch {
	case errors.Is(err, coap.ErrReset):
		e.Code, e.CoAP, e.Why, e.Hint = "lwm2m-server.reset", coap.BadGateway, "the device reset the request", "it may have restarted; it registers again soon"
	case errors.Is(err, coap.ErrUnreachable):
		e.Code, e.CoAP, e.Why, e.Hint = "lwm2m-server.unreachable", coap.BadGateway, "the network can't reach the device now", "wait until it registers or updates"
	case errors.Is(err, coap.ErrTimeout):
		e.Code, e.CoAP, e.Why, e.Hint = "lwm2m-server.timeout", coap.GatewayTimeout, "the device does not answer", "see that it is on and in reach; it may sleep though it did not say so"
		e.Err = errors.Join(ErrTimeout, err)
	case errors.Is(err, coap.ErrTooLarge):
		e.Code, e.CoAP, e.Why, e.Hint = "lwm2m-server.too-large", coap.EntityTooLarge, "the request or its answer is larger than this server takes", "send or ask for less at once"
	case errors.Is(err, ErrGone):
		e.Code, e.CoAP, e.Why, e.Hint = "lwm2m-server.gone", coap.NotFound, "its registration has ended", "wait until it registers again"
	case errors.Is(err, ErrAsleep):
		e.Code, e.CoAP, e.Why, e.Hint = "lwm2m-server.asleep", coap.GatewayTimeout, "the device has fallen asleep", "ask again: the request waits until it wakes up"
	case errors.Is(err, errAnew):
		e.Code, e.CoAP, e.Why, e.Hint = "lwm2m-server.started-anew", coap.BadGateway, "the device started anew before it answered: nobody knows whether it was done",
			"see what state it is in, and ask again"
	case errors.Is(err, errMoved):
		e.Code, e.CoAP, e.Why, e.Hint = "lwm2m-server.moved", coap.BadGateway, "the device's address changed before it answered: nobody knows whether it was done",
			"see what state it is in, and ask again"
	default:
		e.Code, e.CoAP, e.Why, e.Hint = "lwm2m-server.stopped", coap.GatewayTimeout, "it was given up: "+err.Error(), "allow more time"
	}
	return e
}

// notObservable is the error of a device that answers a request to observe as if it were to read.
func notObservable(what string) error {
	return &Error{Code: "lwm2m-server.not-observable", CoAP: coap.MethodNotAllowed, What: what, Why: "the device answers, and does not observe", Hint: "read it from time to time instead"}
}

// observesNoMore is the error of an observation whose device has sent a last value without the Observe option.
func observesNoMore(what string) error {
	return &Error{Code: "lwm2m-server.observes-no-more", CoAP: coap.ServiceUnavailable, What: what, Why: "the device has ended the observation: its notification has no Observe option",
		Hint: "observe it again"}
}

func badCall(what, why, hint string) error {
	return &Error{Code: "lwm2m-server.bad-call", CoAP: coap.BadRequest, What: what, Why: why, Hint: hint}
}
