package compile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime/debug"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/edgehold/edgehold/host/internal/guest"
)

// Bounds limit the child.
type Bounds struct {
	CPU    time.Duration
	Memory uint64 // bytes of heap
	Wall   time.Duration
}

// DefaultBounds leave a factor of about eight over what a large Go guest needs.
var DefaultBounds = Bounds{CPU: slowdown * 10 * time.Second, Memory: 512 << 20, Wall: slowdown * 60 * time.Second}

// WithCPU returns the bounds for a processor that needs so much time, of a program without the race detector; zero leaves them.
// The wall clock grows along.
func (b Bounds) WithCPU(d time.Duration) Bounds {
	if d > 0 {
		d *= slowdown
		b.Wall = time.Duration(float64(b.Wall) * d.Seconds() / b.CPU.Seconds())
		b.CPU = d
	}
	return b
}

// Order is what the child is told to do.
type Order struct {
	Module   []byte `cbor:"1,keyasint"`
	Recipe   Recipe `cbor:"2,keyasint"`
	CacheDir string `cbor:"3,keyasint"` // of the engine; empty: do not compile
	Bounds   Bounds `cbor:"4,keyasint"`
}

// answer is what the child says: an artefact, or why there is none.
type answer struct {
	Artefact []byte `cbor:"1,keyasint,omitempty"`
	Refusal  *Error `cbor:"2,keyasint,omitempty"`
	Failure  string `cbor:"3,keyasint,omitempty"`
}

// ChildVariable is the environment variable that makes a process a child.
const ChildVariable = "EDGEHOLD_COMPILE_CHILD"

const (
	maxAnswer   = 256 << 20 // bytes
	maxOrder    = 64 << 20  // bytes
	maxComplain = 16 << 10  // bytes of the child's standard error that are kept
	killDelay   = 2 * time.Second
)

// InChild has a child process carry out the order.
func InChild(ctx context.Context, o Order) (*Artefact, error) {
	order, err := canonical.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("encode order: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, o.Bounds.Wall, errors.New("the time for compiling is up"))
	defer cancel()
	out := &limited{left: maxAnswer}
	complaint := &limited{left: maxComplain}
	state, err := execute(ctx, bytes.NewReader(order), out, complaint)
	if err != nil {
		return nil, childError(ctx, o.Bounds, state, complaint.String(), err)
	}
	return decodeAnswer(out.Bytes())
}

func execute(ctx context.Context, in io.Reader, out, complaint io.Writer) (*os.ProcessState, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = []string{ChildVariable + "=1", "GOTRACEBACK=single"}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, complaint
	cmd.WaitDelay = killDelay
	err = runWithParent(cmd)
	return cmd.ProcessState, err
}

// childError says why a child died, as far as that can be told from outside.
func childError(ctx context.Context, b Bounds, state *os.ProcessState, complaint string, err error) error {
	const hint = "split large functions, or leave out what the policy does not need"
	switch {
	case ctx.Err() != nil && context.Cause(ctx) == ctx.Err():
		return ctx.Err() // the caller's own reason
	case ctx.Err() != nil:
		return &Error{"intake.compile-timeout", fmt.Sprintf("compiling took longer than %v", b.Wall), hint}
	case state != nil && state.UserTime()+state.SystemTime() >= b.CPU-time.Second:
		return &Error{"intake.compile-cpu", fmt.Sprintf("compiling needs more than %v of processor time", b.CPU), hint}
	case bytes.Contains([]byte(complaint), []byte("out of memory")) || bytes.Contains([]byte(complaint), []byte("cannot allocate memory")):
		return &Error{"intake.compile-memory", fmt.Sprintf("compiling needs more than %d MiB of memory", b.Memory>>20), hint}
	}
	return fmt.Errorf("compile in a child process: %w: %s", err, firstLine(complaint))
}

func firstLine(s string) string {
	line, _, _ := bytes.Cut([]byte(s), []byte("\n"))
	return string(line)
}

func decodeAnswer(b []byte) (*Artefact, error) {
	var a answer
	if err := strict.Unmarshal(b, &a); err != nil {
		return nil, fmt.Errorf("read the compile child's answer: %w", err)
	}
	switch {
	case a.Refusal != nil:
		return nil, a.Refusal
	case a.Failure != "":
		return nil, errors.New(a.Failure)
	}
	return Decode(a.Artefact)
}

// RunChild makes this process carry out one order and exit, if it was started for that; otherwise it returns.
func RunChild() {
	if os.Getenv(ChildVariable) == "" {
		return
	}
	if err := serve(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func serve(in io.Reader, out io.Writer) error {
	b, err := io.ReadAll(io.LimitReader(in, maxOrder))
	if err != nil {
		return fmt.Errorf("read order: %w", err)
	}
	var o Order
	if err := strict.Unmarshal(b, &o); err != nil {
		return fmt.Errorf("decode order: %w", err)
	}
	if err := confine(o.Bounds); err != nil {
		return fmt.Errorf("confine the compile child: %w", err)
	}
	debug.SetMemoryLimit(int64(o.Bounds.Memory / 4 * 3))
	reply, err := canonical.Marshal(obey(context.Background(), o))
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	_, err = out.Write(reply)
	return err
}

func obey(ctx context.Context, o Order) answer {
	artefact, err := InProcess(ctx, o)
	if err != nil {
		return refusal(err)
	}
	b, err := artefact.Encode()
	if err != nil {
		return refusal(err)
	}
	return answer{Artefact: b}
}

// refusal keeps an error's code, why and hint across the process boundary.
func refusal(err error) answer {
	coded, ok := errors.AsType[interface {
		error
		ErrorCode() string
		ErrorWhy() string
		ErrorHint() string
	}](err)
	if !ok {
		return answer{Failure: err.Error()}
	}
	return answer{Refusal: &Error{coded.ErrorCode(), coded.ErrorWhy(), coded.ErrorHint()}}
}

// InProcess carries out the order in this process, with no bounds but those of the recipe.
func InProcess(ctx context.Context, o Order) (*Artefact, error) {
	artefact, err := Build(ctx, o.Module, o.Recipe)
	if err != nil || o.CacheDir == "" {
		return artefact, err
	}
	return artefact, fillCache(ctx, artefact, o.CacheDir)
}

// fillCache leaves the frozen module's machine code in the engine's cache.
func fillCache(ctx context.Context, a *Artefact, dir string) error {
	cache, err := wazero.NewCompilationCacheWithDir(dir)
	if err != nil {
		return fmt.Errorf("open the compilation cache: %w", err)
	}
	linker, err := guest.NewLinker(ctx, EngineConfig(wazero.NewRuntimeConfig()).WithCompilationCache(cache))
	if err != nil {
		return errors.Join(err, cache.Close(ctx))
	}
	_, err = Load(ctx, linker, a)
	return errors.Join(err, linker.Close(ctx), cache.Close(ctx))
}

// EngineConfig sets what has to be the same in the child and the parent for the cache to be found. Debug information is read
// for the marks that package rewrite leaves, and costs nothing in a module without them.
func EngineConfig(c wazero.RuntimeConfig) wazero.RuntimeConfig {
	return c.WithCloseOnContextDone(false).WithDebugInfoEnabled(true).WithCustomSections(false)
}

// limited keeps the first bytes written to it and refuses the rest.
type limited struct {
	bytes.Buffer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	if len(p) > l.left {
		return 0, errors.New("more output than expected")
	}
	l.left -= len(p)
	return l.Buffer.Write(p)
}
