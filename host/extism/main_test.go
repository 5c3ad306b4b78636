package extism_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/edgehold/edgehold/host"
)

func TestMain(m *testing.M) {
	host.RunChild()
	goleak.VerifyTestMain(m)
}
