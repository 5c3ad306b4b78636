package apiclient

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"syscall"

	"github.com/edgehold/edgehold/agents/api"
)

// ConnectError says why an agent could not be spoken to at all. A refusal by the agent is an [api.Problem] instead.
type ConnectError struct {
	Where, Code, Why, Hint string
	Err                    error
}

func (e *ConnectError) Error() string     { return "reach the agent at " + e.Where + ": " + e.Why }
func (e *ConnectError) Unwrap() error     { return e.Err }
func (e *ConnectError) ErrorCode() string { return e.Code }
func (e *ConnectError) ErrorWhy() string  { return e.Why }
func (e *ConnectError) ErrorHint() string { return e.Hint }

func (c *Client) unreachable(ctx context.Context, err error) error {
	if cause := ctx.Err(); cause != nil {
		return fmt.Errorf("ask the agent at %s: %w", c.where, cause)
	}
	e := &ConnectError{Where: c.where, Code: "client.unreachable", Why: rootCause(err).Error(), Err: err,
		Hint: "check the address and the network"}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.Why, e.Hint = "there is no such socket", "start edgeholdd, or name its socket with --socket or EDGEHOLD_SOCKET"
	case errors.Is(err, syscall.ECONNREFUSED):
		e.Why, e.Hint = "nobody answers", "start edgeholdd"
	case errors.Is(err, fs.ErrPermission):
		e.Code, e.Why, e.Hint = "client.permission", "you may not use the socket", "run as root, or join the socket's group"
	case isCertificate(err):
		e.Code, e.Hint = "client.bad-certificate", "name the certificate that signed it with --ca-file"
	}
	return e
}

func isCertificate(err error) bool {
	var verification *tls.CertificateVerificationError
	return errors.As(err, &verification)
}

func rootCause(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

// problemFrom reads a refusal. What is not a problem document came from something else than an agent.
func problemFrom(where string, r call, response *http.Response) error {
	var p api.Problem
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	if err != nil || p.Code == "" {
		return &ConnectError{Where: where, Code: "client.not-an-agent",
			Why:  fmt.Sprintf("%s %s was answered with status %d and no problem document", r.method, r.path, response.StatusCode),
			Hint: "check that an Edgehold agent listens there", Err: err}
	}
	return &p
}

func unreadable(where string, r call, err error) error {
	return &ConnectError{Where: where, Code: "client.bad-answer", Why: fmt.Sprintf("the answer to %s %s can't be read: %v", r.method, r.path, err),
		Hint: "check that the agent and this program have the same version", Err: err}
}
