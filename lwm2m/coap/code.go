package coap

import "strconv"

// Code is the method of a request or the status of an answer: class in the upper three bits, detail in the lower five (RFC 7252 section 12.1).
type Code uint8

// Methods (RFC 7252, RFC 8132).
const (
	Empty  Code = 0
	GET    Code = 1
	POST   Code = 2
	PUT    Code = 3
	DELETE Code = 4
	FETCH  Code = 5
	PATCH  Code = 6
	IPATCH Code = 7
)

// Answers.
const (
	Created              Code = 2<<5 | 1
	Deleted              Code = 2<<5 | 2
	Valid                Code = 2<<5 | 3
	Changed              Code = 2<<5 | 4
	Content              Code = 2<<5 | 5
	Continue             Code = 2<<5 | 31
	BadRequest           Code = 4 << 5
	Unauthorized         Code = 4<<5 | 1
	BadOption            Code = 4<<5 | 2
	Forbidden            Code = 4<<5 | 3
	NotFound             Code = 4<<5 | 4
	MethodNotAllowed     Code = 4<<5 | 5
	NotAcceptable        Code = 4<<5 | 6
	EntityIncomplete     Code = 4<<5 | 8
	Conflict             Code = 4<<5 | 9
	PreconditionFailed   Code = 4<<5 | 12
	EntityTooLarge       Code = 4<<5 | 13
	UnsupportedFormat    Code = 4<<5 | 15
	UnprocessableEntity  Code = 4<<5 | 22
	TooManyRequests      Code = 4<<5 | 29
	InternalServerError  Code = 5 << 5
	NotImplemented       Code = 5<<5 | 1
	BadGateway           Code = 5<<5 | 2
	ServiceUnavailable   Code = 5<<5 | 3
	GatewayTimeout       Code = 5<<5 | 4
	ProxyingNotSupported Code = 5<<5 | 5
)

// Signals of reliable transports (RFC 8323 section 5).
const (
	signalCSM     Code = 7<<5 | 1
	signalPing    Code = 7<<5 | 2
	signalPong    Code = 7<<5 | 3
	signalRelease Code = 7<<5 | 4
	signalAbort   Code = 7<<5 | 5

	signalClass = 7
)

// Class is the code's first digit.
func (c Code) Class() int { return int(c >> 5) }

// Detail is the number after the dot.
func (c Code) Detail() int { return int(c & 31) }

// IsRequest says whether c is a method.
func (c Code) IsRequest() bool { return c.Class() == 0 && c != Empty }

// IsResponse says whether c is an answer's.
func (c Code) IsResponse() bool { return c.Class() >= 2 && c.Class() <= 5 }

// IsSuccess says whether c is of class 2.
func (c Code) IsSuccess() bool { return c.Class() == 2 }

var methodNames = [...]string{"EMPTY", "GET", "POST", "PUT", "DELETE", "FETCH", "PATCH", "iPATCH"}

// String is the method's name, or the code as the RFCs write it: "2.05".
func (c Code) String() string {
	if int(c) < len(methodNames) {
		return methodNames[c]
	}
	detail := strconv.Itoa(c.Detail())
	if len(detail) < 2 {
		detail = "0" + detail
	}
	return strconv.Itoa(c.Class()) + "." + detail
}
