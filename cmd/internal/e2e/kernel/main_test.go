//go:build linux

package kernel_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/edgehold/edgehold/cmd/internal/e2e/kernel"
)

func TestMain(m *testing.M) {
	if kernel.ActAsQemu() {
		return
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		os.RemoveAll(built.dir)
		os.Exit(code)
	}))
}
