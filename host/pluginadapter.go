package host

import (
	"context"

	"github.com/edgehold/edgehold/host/internal/documents"
	"github.com/edgehold/edgehold/host/internal/guest"
	"github.com/edgehold/edgehold/wasmabi"
)

// Exports of an Extism plugin that is an adapter, beside those that policies have too. The first three are required.
const (
	exportOptions = "options"
	exportState   = "state"
	exportApply   = "apply"
	exportRevert  = "revert"
)

// adapterPlugin has an Extism plugin act. Its requests go to the first http capability that it was granted.
type adapterPlugin struct {
	vessel
	documents documents.Adapter
}

func (p *adapterPlugin) call(ctx context.Context, op wasmabi.Op, request []byte) (wasmabi.Status, []byte, *guest.Fault) {
	d := &p.documents
	switch op {
	case wasmabi.OpInit:
		return p.begin(ctx, request)
	case wasmabi.OpOptions:
		return p.exchange(ctx, exportOptions, request, func([]byte) ([]byte, error) { return nil, nil }, d.Options)
	case wasmabi.OpState:
		return p.exchange(ctx, exportState, request, d.Knobs, d.Readings)
	case wasmabi.OpPlan:
		return p.exchange(ctx, exportPlan, request, d.Settings, d.Readings)
	case wasmabi.OpApply:
		return p.exchange(ctx, exportApply, request, d.Settings, ignored)
	case wasmabi.OpRevert:
		return p.exchange(ctx, exportRevert, request, d.Settings, ignored)
	}
	return p.common(ctx, op, request)
}

func ignored([]byte) ([]byte, error) { return nil, nil }

func (p *adapterPlugin) begin(ctx context.Context, request []byte) (wasmabi.Status, []byte, *guest.Fault) {
	p.instance.Idle()
	if err := p.documents.Open(request); err != nil {
		return wasmabi.StatusInvalid, nil, nil
	}
	web := guest.Web{Handle: noHandle, Messages: true}
	if handle, ok := p.documents.Web(); ok {
		web.Handle = uint32(handle)
	}
	if err := p.configure(p.documents.Config(), p.documents.Context(), web); err != nil {
		return p.refuse(codeContext, err.Error())
	}
	return p.optional(ctx, exportInitialize, p.documents.Introduction())
}
