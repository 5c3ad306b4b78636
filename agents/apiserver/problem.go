package apiserver

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"syscall"

	"github.com/danielgtaylor/huma/v2"

	"github.com/edgehold/edgehold/agents/api"
)

// problem is an [api.Problem] in the shape that huma wants errors in.
type problem struct{ api.Problem }

// GetStatus is the HTTP status.
func (p *problem) GetStatus() int { return p.Status }

// ContentType is the media type of every failure.
func (p *problem) ContentType(string) string { return api.ProblemContentType }

func newProblem(status int, code, attempted, why, hint string) *problem {
	return &problem{api.Problem{
		Type:   api.ProblemType(code),
		Title:  http.StatusText(status),
		Status: status,
		Detail: attempted + ": " + why,
		Code:   code,
		Why:    why,
		Hint:   hint,
	}}
}

// problemOf describes a backend's error. The house methods ErrorCode, ErrorWhy and ErrorHint fill it in; an error without a code
// is this daemon's own fault.
func problemOf(err error) *problem {
	var ready *problem
	if errors.As(err, &ready) {
		return ready
	}
	code, why, hint := codeOf(err), whyOf(err), hintOf(err)
	switch {
	case code != "":
	case errors.Is(err, context.DeadlineExceeded):
		code, why, hint = "api.timeout", "it took longer than a request may", "try again; if it stays so, run edgehold doctor"
	case errors.Is(err, context.Canceled):
		code, why, hint = "api.stopping", "the caller went away or the daemon is stopping", "try again"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		code, why, hint = "node.disk-full", "no space is left", "free some space; nothing that was accepted is lost"
	case errors.Is(err, syscall.EROFS):
		code, why, hint = "node.read-only", "a file system can't be written", "mount it for writing, or choose another state_directory"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ENOMEM):
		code, why, hint = "node.busy", "the daemon has no more files or memory to open: "+err.Error(), "raise the limits of its service (LimitNOFILE, MemoryMax)"
	default:
		code, hint = "api.internal", "look into the daemon's log, and report this as a fault of Edgehold"
	}
	p := newProblem(statusOf(code), code, "", why, hint)
	p.Detail = err.Error()
	return p
}

func codeOf(err error) string {
	var coded interface{ ErrorCode() string }
	if errors.As(err, &coded) {
		return coded.ErrorCode()
	}
	return ""
}

func whyOf(err error) string {
	var explained interface{ ErrorWhy() string }
	if errors.As(err, &explained) {
		return explained.ErrorWhy()
	}
	return ""
}

func hintOf(err error) string {
	var hinted interface{ ErrorHint() string }
	if errors.As(err, &hinted) {
		return hinted.ErrorHint()
	}
	return ""
}

// statuses maps a whole code, or the part of one after its last point, to an HTTP status. RATIONALE.md says why the code
// decides.
var statuses = map[string]int{
	"registry.denied":      http.StatusBadGateway, // by the registry, not by us
	"registry.unreachable": http.StatusBadGateway,
	"registry.failed":      http.StatusBadGateway,
	"registry.stalled":     http.StatusGatewayTimeout,
	"mechanism.read-only":  http.StatusForbidden, // a knob, not a disk

	"bad-cursor": http.StatusBadRequest,

	"forbidden":    http.StatusForbidden,
	"denied":       http.StatusForbidden,
	"not-granted":  http.StatusForbidden,
	"needs-person": http.StatusForbidden,

	"not-found":       http.StatusNotFound,
	"not-recorded":    http.StatusNotFound,
	"no-such-version": http.StatusNotFound,
	"no-such-knob":    http.StatusNotFound,
	"no-such-lease":   http.StatusNotFound,

	"conflict":       http.StatusConflict,
	"held":           http.StatusConflict,
	"in-use":         http.StatusConflict,
	"drifted":        http.StatusConflict,
	"hands-off":      http.StatusConflict,
	"changed":        http.StatusConflict,
	"no-standby":     http.StatusConflict,
	"no-source":      http.StatusConflict,
	"not-running":    http.StatusConflict,
	"quarantined":    http.StatusConflict,
	"version-exists": http.StatusConflict,
	"version-taken":  http.StatusConflict,

	"already-active":       http.StatusConflict, // of rollouts
	"nothing-to-undo":      http.StatusConflict,
	"not-current":          http.StatusConflict,
	"not-paused":           http.StatusConflict,
	"over":                 http.StatusConflict,
	"running":              http.StatusConflict,
	"too-many-quarantined": http.StatusConflict,

	"too-large": http.StatusRequestEntityTooLarge,

	"too-often":         http.StatusTooManyRequests,
	"too-many-failures": http.StatusTooManyRequests,

	"internal":     http.StatusInternalServerError,
	"corrupt":      http.StatusInternalServerError,
	"io":           http.StatusInternalServerError,
	"write-failed": http.StatusInternalServerError,
	"journal":      http.StatusInternalServerError,

	"not-supported": http.StatusNotImplemented,

	"unavailable": http.StatusServiceUnavailable,
	"stopping":    http.StatusServiceUnavailable,
	"busy":        http.StatusServiceUnavailable,
	"locked":      http.StatusServiceUnavailable,

	"timeout":       http.StatusGatewayTimeout,
	"query-timeout": http.StatusGatewayTimeout,

	"disk-full": http.StatusInsufficientStorage,
	"read-only": http.StatusInsufficientStorage,
}

// statusOf is 422 for a code that is not in the table: the request was understood and refused.
func statusOf(code string) int {
	if status, ok := statuses[code]; ok {
		return status
	}
	if status, ok := statuses[code[strings.LastIndexByte(code, '.')+1:]]; ok {
		return status
	}
	return http.StatusUnprocessableEntity
}

// write sends a problem outside huma.
func (p *problem) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", api.ProblemContentType)
	switch p.Status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "2")
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Bearer realm="edgehold"`)
	}
	w.WriteHeader(p.Status)
	json.NewEncoder(w).Encode(&p.Problem)
}

// ownCodes are the codes of failures that huma finds.
var ownCodes = map[int]string{
	http.StatusBadRequest:            "api.bad-request",
	http.StatusNotFound:              "api.not-found",
	http.StatusNotAcceptable:         "api.not-acceptable",
	http.StatusRequestTimeout:        "api.slow-body",
	http.StatusRequestEntityTooLarge: "api.too-large",
	http.StatusUnsupportedMediaType:  "api.bad-media-type",
	http.StatusUnprocessableEntity:   "api.invalid",
}

// init makes huma report failures as problems; its hooks are package variables. Only this package imports huma.
func init() {
	huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
		return humaProblem("read request", status, message, errs)
	}
	huma.NewErrorWithContext = func(ctx huma.Context, status int, message string, errs ...error) huma.StatusError {
		return humaProblem(strings.ToLower(ctx.Operation().Summary), status, message, errs)
	}
}

func humaProblem(attempted string, status int, message string, errs []error) *problem {
	code, ok := ownCodes[status]
	if !ok {
		code = "api.internal"
	}
	p := newProblem(status, code, attempted, message, "the interface is described at /openapi.json")
	for _, err := range errs {
		var detail huma.ErrorDetailer
		if errors.As(err, &detail) {
			p.Errors = append(p.Errors, api.ProblemField{Location: detail.ErrorDetail().Location, Message: detail.ErrorDetail().Message})
		} else if err != nil {
			p.Errors = append(p.Errors, api.ProblemField{Message: err.Error()})
		}
	}
	if len(p.Errors) > 0 {
		first := p.Errors[0]
		p.Why = strings.TrimSpace(first.Location + " " + first.Message)
		p.Detail = attempted + ": " + p.Why
	}
	return p
}
