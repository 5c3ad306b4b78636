package client

import (
	"errors"
	"strings"
	"testing"

	"github.com/edgehold/edgehold/lwm2m/coap"
)

// Who may not register is told where to look.
func TestRejected(t *testing.T) {
	for code, want := range map[coap.Code]string{coap.Forbidden: "4.03: see whether the server's list", coap.BadRequest: "4.00"} {
		err := rejected(code)
		if !errors.Is(err, errRejected) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", code, err)
		}
	}
}
