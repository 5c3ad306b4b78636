package gateway

import (
	"cmp"
	"context"
	"errors"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
	"github.com/edgehold/edgehold/lwm2m/server"
	"github.com/edgehold/edgehold/sdf/mqtt"
	"github.com/edgehold/edgehold/sdf/oma"
)

// Codes of what this package refuses by itself.
const (
	CodeUnknownDevice = "device.unknown"
	CodeUnknownObject = "device.no-such-object"
	CodeUnknownName   = "device.no-such-name"
	CodeNotAllowed    = "device.not-allowed"
	CodeData          = "request.data"
	CodePackage       = "device.package-refused"
	CodeTimeout       = "device.no-answer"
)

// refusal is a request that is not passed on.
type refusal struct {
	status mqtt.Code
	err    mqtt.Error
}

func (r *refusal) Error() string { return r.err.Message + ": " + r.err.Why }

func refuse(status mqtt.Code, code, what, why, hint string) error {
	return &refusal{status, mqtt.Error{Code: code, Message: what, Why: why, Hint: hint}}
}

// response makes the response of a request that failed.
func response(err error) *mqtt.Response {
	if r, ok := errors.AsType[*refusal](err); ok {
		return mqtt.Fail(r.status, r.err)
	}
	return mqtt.Fail(statusOf(err), *errorOf(err))
}

// statusOf is the code of an error: what the device answered, or what says the same.
func statusOf(err error) mqtt.Code {
	if errors.Is(err, context.DeadlineExceeded) {
		return mqtt.Timeout
	}
	if _, ok := errors.AsType[*server.Error](err); ok {
		code := server.CodeOf(err)
		return mqtt.Code(code.Class()*100 + code.Detail())
	}
	if isData(err) {
		return mqtt.BadRequest
	}
	return mqtt.Code(coap.InternalServerError.Class() * 100)
}

// isData reports whether an error is about what the request said.
func isData(err error) bool {
	if _, ok := errors.AsType[*lwm2m.Error](err); ok {
		return true
	}
	code, ok := errors.AsType[interface {
		error
		ErrorCode() string
	}](err)
	return ok && (code.ErrorCode() == oma.CodeUnknown || code.ErrorCode() == oma.CodeValue || code.ErrorCode() == oma.CodeNotGiven)
}

// errorOf puts an error into the words of the binding, with the code, cause and hint that it carries.
func errorOf(err error) *mqtt.Error {
	e := &mqtt.Error{Code: "gateway.internal", Message: err.Error()}
	if errors.Is(err, context.DeadlineExceeded) {
		e.Code, e.Hint = CodeTimeout, "give the request more time: a device that sleeps answers when it wakes"
	}
	if c, ok := errors.AsType[interface {
		error
		ErrorCode() string
	}](err); ok {
		e.Code = c.ErrorCode()
	}
	if c, ok := errors.AsType[interface {
		error
		ErrorWhy() string
	}](err); ok {
		e.Why = c.ErrorWhy()
	}
	if c, ok := errors.AsType[interface {
		error
		ErrorHint() string
	}](err); ok {
		e.Hint = cmp.Or(c.ErrorHint(), e.Hint)
	}
	return e
}
