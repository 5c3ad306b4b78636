package host

import (
	"context"
	"fmt"
	"math"

	"github.com/edgehold/edgehold/host/internal/documents"
	"github.com/edgehold/edgehold/host/internal/guest"
	"github.com/edgehold/edgehold/wasmabi"
)

// Exports that policies and adapters may both have.
const (
	exportInitialize = "initialize"
	exportMigrate    = "migrate"
	exportHealth     = "health"
)

// Codes of errors that the host finds in what a plugin answers. They reach people as guest.answer and so on.
const (
	codeAnswer   = "answer"   // not the document expected
	codeReturned = "returned" // a code other than zero, without an error
	codeContext  = "context"  // variables that can't be kept
)

// noHandle is a handle that no session has.
const noHandle = math.MaxUint32

// vessel is what policies and adapters have in common that are Extism plugins: how an export is called, and that its variables
// are its context.
type vessel struct {
	module   *Module
	instance *guest.Instance
	response []byte
}

// common answers the operations that are the same for both.
func (p *vessel) common(ctx context.Context, op wasmabi.Op, request []byte) (wasmabi.Status, []byte, *guest.Fault) {
	switch op {
	case wasmabi.OpSnapshot:
		p.instance.Idle()
		return p.context()
	case wasmabi.OpMigrate:
		return p.migrate(ctx, request)
	case wasmabi.OpHealth:
		return p.optional(ctx, exportHealth, nil)
	}
	p.instance.Idle()
	return wasmabi.StatusUnsupported, nil, nil
}

// configure gives the plugin its parameters as configuration and its context as variables.
func (p *vessel) configure(config map[string]string, kept []byte, web guest.Web) error {
	limit := p.module.limits.VarBytes
	p.instance.Configure(guest.Settings{Config: config, LogLevel: guest.PluginInfo, VarBytes: limit, Web: web})
	entries, err := wasmabi.DecodeContext(kept, nil)
	if err != nil {
		return fmt.Errorf("the context that was kept is none of an Extism plugin: %w", err)
	}
	vars := p.instance.Vars()
	vars.Clear()
	for _, e := range entries {
		if e.Kind != wasmabi.EntryBytes {
			return fmt.Errorf("the context that was kept has %s, which is no variable of an Extism plugin", e.Key)
		}
		if !vars.Set([]byte(e.Key), e.Bytes, int(limit)) {
			return fmt.Errorf("the context that was kept has more than the %d bytes that variables may have", limit)
		}
	}
	return nil
}

// exchange has an export answer a request: one message becomes a document, the other document becomes a message.
func (p *vessel) exchange(ctx context.Context, export string, request []byte, write, read func([]byte) ([]byte, error)) (
	wasmabi.Status, []byte, *guest.Fault) {
	document, err := write(request)
	if err != nil {
		p.instance.Idle()
		return wasmabi.StatusInvalid, nil, nil
	}
	status, answer, fault := p.ask(ctx, export, document)
	if fault != nil || status != wasmabi.StatusOK {
		return status, answer, fault
	}
	message, err := read(answer)
	if err != nil {
		return p.refuse(codeAnswer, fmt.Sprintf("its answer to %s is wrong: %v", export, err))
	}
	return p.answer(message)
}

// answer bounds what the documents became, as the output of other guests is.
func (p *vessel) answer(message []byte) (wasmabi.Status, []byte, *guest.Fault) {
	if limit := int(p.module.limits.ResponseBytes); len(message) > limit {
		return 0, nil, &guest.Fault{Kind: Output, Cause: fmt.Sprintf("a response of %d bytes; the limit is %d", len(message), limit)}
	}
	return wasmabi.StatusOK, message, nil
}

// optional calls an export whose output nobody reads, if there is one.
func (p *vessel) optional(ctx context.Context, export string, document []byte) (wasmabi.Status, []byte, *guest.Fault) {
	if _, ok := p.module.Export(export); !ok {
		return wasmabi.StatusOK, nil, nil
	}
	status, answer, fault := p.ask(ctx, export, document)
	if status == wasmabi.StatusOK {
		answer = nil
	}
	return status, answer, fault
}

// ask calls an export. A plugin that returns a code other than zero has failed, also without saying why.
func (p *vessel) ask(ctx context.Context, export string, document []byte) (wasmabi.Status, []byte, *guest.Fault) {
	op, ok := p.module.Export(export)
	if !ok {
		p.instance.Idle()
		return wasmabi.StatusUnsupported, nil, nil
	}
	status, answer, fault := p.instance.CallExport(ctx, int(op-firstExport), document)
	if fault != nil || status != wasmabi.StatusOK {
		return status, answer, fault
	}
	switch code, exited := p.instance.Returned(); {
	case exited:
		return 0, nil, &guest.Fault{Kind: Trap, Cause: "it exited instead of returning"}
	case code != 0:
		return p.refuse(codeReturned, fmt.Sprintf("%s returned %d without an error", export, code))
	}
	return status, answer, nil
}

// context returns the plugin's variables.
func (p *vessel) context() (wasmabi.Status, []byte, *guest.Fault) {
	vars := p.instance.Vars()
	names := vars.Names()
	if len(names) > wasmabi.MaxEntries {
		return p.refuse(codeContext, fmt.Sprintf("it has %d variables; at most %d can be kept", len(names), wasmabi.MaxEntries))
	}
	entries := make([]wasmabi.Entry, len(names))
	for i, name := range names {
		if len(name) > maxVariableName {
			return p.refuse(codeContext, fmt.Sprintf("variable %q... has a longer name than the %d bytes that can be kept",
				name[:maxVariableName], maxVariableName))
		}
		value, _ := vars.Get([]byte(name))
		entries[i] = wasmabi.Entry{Key: name, Kind: wasmabi.EntryBytes, Bytes: value}
	}
	if len(entries) == 0 {
		return wasmabi.StatusOK, nil, nil
	}
	p.response = wasmabi.AppendContext(p.response[:0], entries)
	return p.answer(p.response)
}

// maxVariableName is the longest key of a context, in bytes.
const maxVariableName = 64

// migrate has the plugin change the variables that an older version left.
func (p *vessel) migrate(ctx context.Context, request []byte) (wasmabi.Status, []byte, *guest.Fault) {
	p.instance.Idle()
	var m wasmabi.Migrate
	if wasmabi.DecodeMigrate(request, &m) != nil {
		return wasmabi.StatusInvalid, nil, nil
	}
	if err := p.configure(nil, m.Context, guest.Web{Handle: noHandle}); err != nil {
		return p.refuse(codeContext, err.Error())
	}
	status, answer, fault := p.ask(ctx, exportMigrate, documents.Migration(m.FromSchema))
	if fault != nil || status != wasmabi.StatusOK {
		return status, answer, fault
	}
	return p.context()
}

// refuse answers in the plugin's place that it failed.
func (p *vessel) refuse(code, message string) (wasmabi.Status, []byte, *guest.Fault) {
	message = message[:min(len(message), wasmabi.MaxText)]
	p.response = wasmabi.AppendError(p.response[:0], &wasmabi.Error{Code: code, Message: message})
	return wasmabi.StatusGuest, p.response, nil
}
