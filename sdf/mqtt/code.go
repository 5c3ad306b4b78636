package mqtt

import "fmt"

// Code says how a request went: a response code of CoAP (RFC 7252, 5.9) as a number, 2.05 as 205.
type Code uint16

const (
	Created       Code = 201
	Deleted       Code = 202
	Changed       Code = 204
	Content       Code = 205
	BadRequest    Code = 400
	Unauthorized  Code = 401
	BadOption     Code = 402
	Forbidden     Code = 403
	NotFound      Code = 404
	NotAllowed    Code = 405
	NotAcceptable Code = 406
	Conflict      Code = 409
	TooLarge      Code = 413
	Unsupported   Code = 415
	Internal      Code = 500
	Unimplemented Code = 501
	BadGateway    Code = 502
	Unavailable   Code = 503
	Timeout       Code = 504
)

// OK says whether the request was done.
func (c Code) OK() bool { return c/100 == 2 }

func (c Code) String() string { return fmt.Sprintf("%d.%02d", c/100, c%100) }

// Error is why a request was not done, for people.
type Error struct {
	Code    string // stable: "device.asleep"
	Message string // what was attempted
	Why     string
	Hint    string // what to do
	Status  Code   // of the response that it came with

	cause error
}

func (e *Error) Error() string {
	if e.Why == "" {
		return e.Message
	}
	return e.Message + ": " + e.Why
}

func (e *Error) Unwrap() error { return e.cause }

// ErrorCode is stable.
func (e *Error) ErrorCode() string { return e.Code }

// ErrorWhy is the cause.
func (e *Error) ErrorWhy() string { return e.Why }

// ErrorHint is what to do.
func (e *Error) ErrorHint() string { return e.Hint }

// Fail is the response of a request that was not done.
func Fail(status Code, e Error) *Response {
	e.Status = status
	return &Response{Code: status, Error: &e}
}

// Err is the error of a response that says it was not done, else nil.
func (r *Response) Err() error {
	if r.Code.OK() {
		return nil
	}
	if r.Error != nil {
		e := *r.Error
		e.Status = r.Code
		return &e
	}
	return &Error{Code: "request.failed", Message: "the gateway answered " + r.Code.String(), Status: r.Code}
}
