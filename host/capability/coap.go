package capability

import (
	"context"

	"github.com/edgehold/edgehold/wasmabi"
)

// coapPort answers where a transport will: no node can offer coap yet, see Offer.Validate.
type coapPort struct{ reach }

func newCoAP(r *wasmabi.CapabilityRequest, c Config) *coapPort { return &coapPort{newReach(r, c)} }

func (p *coapPort) call(_ context.Context, op uint32, in, dst []byte) ([]byte, error) {
	var m wasmabi.CoAPRequest
	if op != wasmabi.HandleCoAP {
		return dst, unknownOp("coap", op)
	}
	if err := wasmabi.DecodeCoAPRequest(in, &m); err != nil {
		return dst, invalid("use coap", err)
	}
	return dst, denied(m.Method+" "+m.URI, "this build has no CoAP transport")
}
