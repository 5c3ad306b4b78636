package host

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/tetratelabs/wazero"

	"github.com/edgehold/edgehold/host/internal/code"
	"github.com/edgehold/edgehold/host/internal/compile"
	"github.com/edgehold/edgehold/host/internal/guest"
	"github.com/edgehold/edgehold/host/internal/image"
	"github.com/edgehold/edgehold/host/internal/intake"
	"github.com/edgehold/edgehold/wasmabi"
)

// Prepare makes a module ready to run: see the package comment. It keeps nothing of the bytes, unless they hold debug information. A module that is not
// acceptable gives a *Refusal; other errors are this machine's. The second Prepare of the same module, in this process or
// a later one, takes what the first left in the cache directory.
func (r *Runtime) Prepare(ctx context.Context, module []byte) (*Module, error) {
	return r.admit(ctx, module, r.door(module), func() (*wasmabi.Manifest, error) { return wasmabi.ReadManifest(module) })
}

// door returns the door that the module's manifest names. A module with no manifest, or a bad one, is refused later.
func (r *Runtime) door(module []byte) string {
	if len(module) > r.config.Caps.ModuleBytes {
		return wasmabi.DoorNative
	}
	m, err := wasmabi.ReadManifest(module)
	if err != nil {
		return wasmabi.DoorNative
	}
	return m.Door
}

func (r *Runtime) admit(ctx context.Context, module []byte, door string, read func() (*wasmabi.Manifest, error)) (*Module, error) {
	if r.modules.isClosed() {
		return nil, fmt.Errorf("prepare module: %w", ErrClosed)
	}
	if door == wasmabi.DoorExtismSDK {
		return nil, errElsewhere
	}
	check := intake.Check
	if door == wasmabi.DoorExtism {
		check = intake.CheckPlugin
	}
	if _, err := check(module, r.config.Caps); err != nil {
		return nil, refusal(err)
	}
	manifest, err := read()
	if err != nil {
		return nil, refusal(err)
	}
	limits, err := r.config.limits(manifest.Kind).grant(manifest.Limits)
	if err != nil {
		return nil, refusal(err)
	}
	m, err := r.prepare(ctx, module, manifest, limits)
	if err != nil {
		return nil, refusal(err)
	}
	// Compiling, or loading what was compiled, leaves garbage several times the size of what stays.
	debug.FreeOSMemory()
	return m, nil
}

func (r *Runtime) prepare(ctx context.Context, module []byte, manifest *wasmabi.Manifest, limits Limits) (*Module, error) {
	digest := sha256.Sum256(module)
	recipe := compile.Recipe{MemoryLimit: limits.Memory, StackBytes: limits.Stack, Initialise: limits.initialise(),
		Plugin: manifest.Door == wasmabi.DoorExtism}
	artefact, err := r.artefact(ctx, module, digest, recipe)
	if err != nil {
		return nil, err
	}
	program, err := r.program(ctx, artefact, limits)
	if err != nil {
		return nil, err
	}
	if program.Plugin = recipe.Plugin; program.Plugin {
		program.Exports = guest.PluginExports(program.Compiled)
	}
	m := newModule(r, manifest, program, digestString(digest), digestString(artefact.Image()), limits)
	m.sources = newSources(module, recipe.Instrumenting())
	if err := m.checkPlugin(); err != nil {
		m.release()
		return nil, err
	}
	if err := m.rehearse(ctx); err != nil {
		m.release()
		return nil, err
	}
	if err := r.modules.add(m); err != nil {
		m.release()
		return nil, err
	}
	return m, nil
}

// program loads the machine code and maps the image.
func (r *Runtime) program(ctx context.Context, a *compile.Artefact, limits Limits) (*guest.Program, error) {
	compiled, err := r.load(ctx, a)
	if err != nil {
		compiled, err = r.reload(ctx, a, err)
	}
	if err != nil {
		return nil, err
	}
	img, err := r.image(a.Content())
	if err != nil {
		return nil, errors.Join(err, compiled.Close(ctx))
	}
	perCall := limits.perCall()
	if r.engine == Interpreter {
		perCall.Slice = max(perCall.Slice/interpreterFactor, 1)
	}
	return &guest.Program{
		Linker: r.linker, Compiled: compiled, Image: img, Window: a.Window, Globals: a.Globals,
		MemoryLimit: limits.Memory, StackBytes: limits.Stack, Limits: perCall,
	}, nil
}

// load takes the machine code from the cache, and leaves on disk what of it is never executed.
func (r *Runtime) load(ctx context.Context, a *compile.Artefact) (compiled wazero.CompiledModule, err error) {
	load := func() error {
		compiled, err = compile.Load(ctx, r.linker, a)
		return err
	}
	if r.engine != Compiler || !r.dirs.cached() {
		err = code.Apart(load)
		return compiled, err
	}
	if _, err = code.NewMover(r.dirs.code).Around(load); err == nil {
		code.Forget(compiled)
	}
	return compiled, err
}

// reload compiles again after load has failed. The artefact carries a checksum and once compiled within bounds, so what is
// wrong is the kept machine code: a power cut can leave half of it, and the engine takes that for an error.
func (r *Runtime) reload(ctx context.Context, a *compile.Artefact, cause error) (wazero.CompiledModule, error) {
	if r.engine != Compiler || !r.dirs.cached() {
		return nil, cause
	}
	r.config.Logger.WarnContext(ctx, "machine code is made again", "error", cause)
	if err := r.dirs.forgetMachineCode(); err != nil {
		return nil, errors.Join(cause, err)
	}
	return r.load(ctx, a)
}

// interpreterFactor is how much slower the interpreter is: its slices are shorter so that they take as long.
const interpreterFactor = 50

func (r *Runtime) image(content []byte) (*image.Image, error) {
	if r.config.copyImages {
		return image.NewCopied(content), nil
	}
	return image.New(content)
}

// artefact takes the module's artefact from disk, or has it made.
func (r *Runtime) artefact(ctx context.Context, module []byte, digest [sha256.Size]byte, recipe compile.Recipe) (*compile.Artefact, error) {
	if !r.dirs.cached() {
		return compile.InProcess(ctx, compile.Order{Module: module, Recipe: recipe}) // interprets: makes no machine code
	}
	path := filepath.Join(r.dirs.artefacts, recipe.Key(digest))
	if a, err := readArtefact(path); err == nil {
		if err := used(path); err != nil { // a read-only cache is a cache
			r.config.Logger.DebugContext(ctx, "artefact not marked as used", "path", path, "error", err)
		}
		return a, nil
	}
	order := compile.Order{Module: module, Recipe: recipe, Bounds: compile.DefaultBounds.WithCPU(r.config.CompileTime)}
	if r.engine == Compiler {
		order.CacheDir = r.dirs.engine
	}
	a, err := r.make(ctx, order)
	if err != nil {
		return nil, err
	}
	if err := writeArtefact(path, a); err != nil { // a full disk costs the next start some time, nothing else
		r.config.Logger.WarnContext(ctx, "artefact not kept", "path", path, "error", err)
	}
	return a, nil
}

func (r *Runtime) make(ctx context.Context, o compile.Order) (*compile.Artefact, error) {
	if !r.config.InProcess {
		return compile.InChild(ctx, o)
	}
	var a *compile.Artefact
	err := code.Apart(func() (err error) {
		a, err = compile.InProcess(ctx, o)
		return err
	})
	return a, err
}

func readArtefact(path string) (*compile.Artefact, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return compile.Decode(b)
}

// writeArtefact replaces the file in one step. A checksum in it catches what a power cut leaves.
func writeArtefact(path string, a *compile.Artefact) error {
	b, err := a.Encode()
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".artefact-*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

func digestString(d [sha256.Size]byte) string { return "sha256:" + hex.EncodeToString(d[:]) }

// rehearse makes the first instance and runs the manifest's golden vectors on it, in order.
func (m *Module) rehearse(ctx context.Context) error {
	s, err := m.begin(ctx, SessionConfig{})
	if err != nil {
		return err
	}
	defer s.Close()
	for n, v := range m.manifest.Vectors {
		got, err := s.Call(ctx, v.Op, v.Request)
		if err != nil {
			return &Refusal{Code: "intake.vector", Err: err,
				Why:  fmt.Sprintf("golden vector %d (%s) failed: %v", n, v.Op, err),
				Hint: "rebuild the policy, which renews its vectors; if it was built for other limits, ask for them in the manifest"}
		}
		if !bytes.Equal(got, v.Response) {
			return &Refusal{Code: "intake.vector",
				Why:  fmt.Sprintf("golden vector %d (%s) gave %x, the manifest promises %x", n, v.Op, clip(got), clip(v.Response)),
				Hint: "rebuild the policy, which renews its vectors"}
		}
	}
	return nil
}

func clip(b []byte) []byte { return b[:min(len(b), 64)] }
