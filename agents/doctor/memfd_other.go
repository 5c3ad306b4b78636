//go:build !linux

package doctor

import "context"

// memfd is what only Linux has; agents run nowhere else.
func memfd(context.Context) Result {
	return Warn("run the agent on Linux", "this is not Linux, so no agent runs here")
}
