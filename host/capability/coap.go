package capability

import (
	"context"

	"github.com/edgehold/edgehold/wasmabi"
)

type coapPort struct{ reach }

func newCoAP(r *wasmabi.CapabilityRequest, c Config) *coapPort { return &coapPort{newReach(r, c)} }

func (p *coapPort) call(_ context.Context, _ uint32, _, dst []byte) ([]byte, error) {
	return dst, denied("use coap", "this node has no CoAP transport")
}
