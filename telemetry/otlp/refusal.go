package otlp

import (
	"math"
	"net/http"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

// refusal is why a whole request was not taken. With a delay, it may be sent again after that; the
// protocol knows this from RetryInfo over gRPC, and from 429 or 503 over HTTP.
type refusal struct {
	code       codes.Code
	message    string
	retryAfter time.Duration
}

func malformed(message string) *refusal { return &refusal{codes.InvalidArgument, message, 0} }

// tooLarge has no delay: the same request will never fit.
func tooLarge(message string) *refusal { return &refusal{codes.ResourceExhausted, message, 0} }

func (r *refusal) status() *status.Status {
	s := status.New(r.code, r.message)
	if r.retryAfter > 0 {
		if detailed, err := s.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(r.retryAfter)}); err == nil {
			return detailed
		}
	}
	return s
}

func (r *refusal) httpStatus() int {
	switch {
	case r.code == codes.InvalidArgument:
		return http.StatusBadRequest
	case r.code == codes.ResourceExhausted && r.retryAfter > 0:
		return http.StatusTooManyRequests
	case r.code == codes.ResourceExhausted:
		return http.StatusRequestEntityTooLarge
	case r.code == codes.Unimplemented:
		return http.StatusUnsupportedMediaType
	case r.code == codes.Unavailable, r.code == codes.Canceled:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// retrySeconds is the header Retry-After, empty without a delay.
func (r *refusal) retrySeconds() string {
	if r.retryAfter <= 0 {
		return ""
	}
	return strconv.Itoa(int(math.Ceil(r.retryAfter.Seconds())))
}
