package main

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/cmd/internal/cli"
)

// Exit codes. Scripts may rely on them.
const (
	exitOK          = 0
	exitFailed      = 1   // the agent refused, or something failed
	exitUsage       = 2   // the command line is wrong
	exitNotFound    = 3   // what was named does not exist
	exitUnreachable = 4   // no agent answers
	exitForbidden   = 5   // the caller may not
	exitUnhealthy   = 6   // doctor or audit verify found a fault, a replay differs or fails, trust is not up to date
	exitInterrupted = 130 // as a shell reports SIGINT
)

// exitHelp is the help topic about exit codes.
const exitHelp = `Exit codes:
  0    done
  1    refused or failed
  2    the command line is wrong
  3    what was named does not exist
  4    no agent answers
  5    the caller may not
  6    doctor or audit verify found a fault, a replay differs or fails, or trust is not up to date
  130  interrupted`

// errFault ends a command that worked and found something wrong; the result says what.
var errFault = errors.New("a fault was found")

// exitCode is the exit code that an error deserves.
func exitCode(ctx context.Context, err error) int {
	var p *api.Problem
	code := cli.Code(err)
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errFault):
		return exitUnhealthy
	case ctx.Err() != nil:
		return exitInterrupted
	case code == "cli.usage":
		return exitUsage
	case code == "client.permission", errors.As(err, &p) && (p.Status == http.StatusUnauthorized || p.Status == http.StatusForbidden):
		return exitForbidden
	case p != nil && p.Status == http.StatusNotFound:
		return exitNotFound
	case strings.HasPrefix(code, "client."):
		return exitUnreachable
	}
	return deviceExit(err)
}
