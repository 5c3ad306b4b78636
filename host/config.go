package host

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"github.com/edgehold/edgehold/host/internal/intake"
	"github.com/edgehold/edgehold/wasmabi"
)

// Engine says how guests are executed.
type Engine uint8

// The engines.
const (
	// Auto compiles to machine code where wazero can, and interprets elsewhere.
	Auto Engine = iota
	// Compiler insists on machine code.
	Compiler
	// Interpreter is 40 to 70 times slower and gives the same results and the same fuel.
	Interpreter
)

// Caps bound what intake accepts.
type Caps = intake.Caps

// DefaultCaps returns the caps that the zero Config uses.
func DefaultCaps() Caps { return intake.DefaultCaps() }

// Config configures a Runtime. The zero value works, without a cache on disk.
type Config struct {
	// CacheDir keeps machine code and images between runs. It is created with mode 0700 and refused if others may write
	// to it, because what is in it is executed. Empty: nothing is kept, and modules are compiled in this process.
	CacheDir string
	Engine   Engine
	// Limits are the most that a guest is granted; a manifest may ask for less. Zero fields take their default.
	Limits Limits
	// AdapterDeadline is Limits.Deadline for adapters, whose calls wait for devices; 0 is 15 s. Their fuel is what a policy has.
	AdapterDeadline time.Duration
	Caps            Caps // zero: DefaultCaps
	// CompileTime is the processor time that compiling one module may take; 0 is 10 s. A slow processor needs more.
	CompileTime time.Duration
	// InProcess compiles without a child process. Nothing can stop a hostile module then but the caps.
	InProcess bool
	Logger    *slog.Logger // what guests log; nil discards it
	// MaxInstances bounds the instances of one module, idle ones included; 0 is four for each processor.
	MaxInstances int

	copyImages bool // tests: what systems without copy-on-write images do
}

// Validate reports every problem of the configuration at once.
func (c Config) Validate() error {
	var errs []error
	if c.Engine > Interpreter {
		errs = append(errs, fmt.Errorf("engine %d does not exist", c.Engine))
	}
	if c.MaxInstances < 0 {
		errs = append(errs, fmt.Errorf("max instances is %d; it must not be negative", c.MaxInstances))
	}
	if c.AdapterDeadline < 0 || c.AdapterDeadline > maxDeadline {
		errs = append(errs, fmt.Errorf("a deadline of %v for adapters: more than 0, at most %v", c.AdapterDeadline, maxDeadline))
	}
	errs = append(errs, c.Limits.withDefaults().validate())
	return errors.Join(errs...)
}

const defaultAdapterDeadline = 15 * time.Second

// limits are the most that a guest of a kind is granted.
func (c Config) limits(kind string) Limits {
	l := c.Limits
	if kind == wasmabi.KindAdapter {
		l.Deadline = c.AdapterDeadline
	}
	return l
}

func (c Config) withDefaults() Config {
	c.Limits = c.Limits.withDefaults()
	if c.AdapterDeadline == 0 {
		c.AdapterDeadline = defaultAdapterDeadline
	}
	if c.Caps == (Caps{}) {
		c.Caps = DefaultCaps()
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.MaxInstances == 0 {
		c.MaxInstances = 4 * runtime.GOMAXPROCS(0)
	}
	return c
}
