package host

import (
	"context"

	"github.com/edgehold/edgehold/host/internal/documents"
	"github.com/edgehold/edgehold/host/internal/guest"
	"github.com/edgehold/edgehold/wasmabi"
)

// Exports of an Extism plugin that is a policy.
const (
	exportAnalyze = "analyze"
	exportPlan    = "plan"
)

// policyPlugin has an Extism plugin decide: messages become documents, documents become messages, and the plugin's variables
// are its context.
type policyPlugin struct {
	vessel
	documents documents.Policy
}

func (p *policyPlugin) call(ctx context.Context, op wasmabi.Op, request []byte) (wasmabi.Status, []byte, *guest.Fault) {
	switch op {
	case wasmabi.OpInit:
		return p.begin(ctx, request)
	case wasmabi.OpAnalyze:
		return p.exchange(ctx, exportAnalyze, request, p.documents.Observation, p.documents.Verdict)
	case wasmabi.OpPlan:
		return p.exchange(ctx, exportPlan, request, p.documents.Observation, p.documents.Plan)
	}
	return p.common(ctx, op, request)
}

func (p *policyPlugin) begin(ctx context.Context, request []byte) (wasmabi.Status, []byte, *guest.Fault) {
	p.instance.Idle()
	if err := p.documents.Open(request); err != nil {
		return wasmabi.StatusInvalid, nil, nil
	}
	if err := p.configure(p.documents.Config(), p.documents.Context(), guest.Web{Handle: noHandle}); err != nil {
		return p.refuse(codeContext, err.Error())
	}
	return p.optional(ctx, exportInitialize, p.documents.Introduction())
}
