package client

import "errors"

// What an object answers when it refuses; wrap them to say why. Any other error is answered 5.00, without its text.
var (
	ErrBadRequest   = errors.New("bad request")                        // 4.00
	ErrUnauthorized = errors.New("not authorised")                     // 4.01
	ErrForbidden    = errors.New("forbidden")                          // 4.03
	ErrNotFound     = errors.New("not found")                          // 4.04
	ErrNotAllowed   = errors.New("operation not allowed")              // 4.05
	ErrNoFormat     = errors.New("no acceptable content format")       // 4.06
	ErrIncomplete   = errors.New("part of a transfer is missing")      // 4.08
	ErrConflict     = errors.New("conflict with the present state")    // 4.09
	ErrTooLarge     = errors.New("too large")                          // 4.13
	ErrFormat       = errors.New("unsupported content format")         // 4.15
	ErrUnavailable  = errors.New("not available now, try again later") // 5.03
)
