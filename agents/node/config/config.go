package config

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/edgehold/edgehold/host/capability"
)

// Config is a node agent's configuration file (D3.3 §8.5.3, figure 44, and what Edgehold adds). The zero value plus
// [Config.SetDefaults] is a working agent that listens on a unix socket alone.
type Config struct {
	// Name of this agent; the host name by default.
	Name string `json:"name,omitempty"`
	// ContinuumLayer is "node": the only layer that this agent serves.
	ContinuumLayer string `json:"continuum_layer,omitempty"`
	// StateDirectory holds the database, the accepted modules, the journal and the compile cache.
	StateDirectory string `json:"state_directory,omitempty"`
	// SystemDescription is the path of this node's description (D3.3 §8.5.2); it must exist when given.
	SystemDescription string `json:"system_description,omitempty"`
	// ManagementMode is "heuristic" or "ml" at the first start; afterwards the mode that was set last holds.
	ManagementMode string `json:"management_mode,omitempty"`
	// Arbitration is "knob" (two plans conflict where they name one knob) or "mechanism" (D3.3's rule).
	Arbitration string `json:"arbitration,omitempty"`

	Telemetry        Telemetry        `json:"telemetry,omitzero"`
	PolicyPlugins    PolicyPlugins    `json:"policy_plugins,omitzero"`
	MechanismPlugins MechanismPlugins `json:"mechanism_plugins,omitzero"`
	API              API              `json:"api,omitzero"`
	Guests           Guests           `json:"guests,omitzero"`
	Trust            Trust            `json:"trust,omitzero"`
	Registry         Registry         `json:"registry,omitzero"`
	Devices          Devices          `json:"devices,omitzero"`
	// Capabilities are what this node offers to adapters; nothing by default. An adapter gets what its manifest asks for, the
	// operator allows and this list covers.
	Capabilities []Capability `json:"capabilities,omitempty"`
	// Behaviours are D3.3's table 15; what a lone node agent does needs none of them, so they are accepted and not used.
	Behaviours map[string]map[string]any `json:"behaviours,omitempty"`
}

// Telemetry says what is measured, how often, and what is listened to.
type Telemetry struct {
	// DefaultMetrics names the metrics kept besides those that policies ask for: a list, or the word "None" for no more.
	DefaultMetrics MetricNames `json:"default_telemetry_metrics,omitempty"`
	// Retention is how long the ring keeps samples; a bare number is seconds, as in D3.3.
	Retention Duration `json:"monitor_data_retention_time,omitempty"`
	// Interval between two readings of the host; a policy that asks for less gets less.
	Interval Duration `json:"monitor_interval,omitempty"`
	// Managed is D3.3's switch for a collector that the agent deploys; Edgehold needs none and accepts it.
	Managed ManagedTelemetry `json:"managed_telemetry,omitzero"`
	// OTLP receives application metrics; an empty address switches that door off.
	OTLP OTLP `json:"otlp,omitzero"`
	// Traces exports the spans of the loop by OTLP/gRPC; empty keeps them in memory only.
	Traces Traces `json:"traces,omitzero"`
	// MaxSeries bounds the ring.
	MaxSeries int `json:"max_series,omitempty"`
	// Root is the file system that /proc and /sys are read from: "/" but for recorded trees.
	Root string `json:"root,omitempty"`
}

// ManagedTelemetry is D3.3's telemetry.managed_telemetry.
type ManagedTelemetry struct {
	Enabled bool `json:"enabled,omitempty"`
}

// OTLP holds the addresses of the receivers, host:port.
type OTLP struct {
	GRPC string `json:"grpc,omitempty"`
	HTTP string `json:"http,omitempty"`
}

// Traces names where spans go, host:port of an OTLP/gRPC receiver.
type Traces struct {
	Endpoint string `json:"endpoint,omitempty"`
	Insecure bool   `json:"insecure,omitempty"`
}

// PolicyPlugins names a folder whose .wasm files are uploaded at start when they are not known yet.
type PolicyPlugins struct {
	Directory string `json:"directory,omitempty"`
}

// MechanismPlugins says which mechanisms run and within which bounds.
type MechanismPlugins struct {
	// Directory is D3.3's; native mechanisms are part of this program, so it is accepted and not used.
	Directory string `json:"directory,omitempty"`
	// Enabled lists mechanisms by name; empty enables all that this machine has.
	Enabled []string `json:"enabled_plugins,omitempty"`
	// Root is the file system that knobs are turned in: "/" but for recorded trees.
	Root string `json:"root,omitempty"`
	// Lease is how long a knob keeps a policy's value when nobody renews it.
	Lease Duration `json:"lease,omitempty"`
	// Patience is how long one call of a mechanism may take. Adapters give their devices three quarters of it, and so does the proxy of far-edge devices.
	Patience Duration `json:"patience,omitempty"`
	// Exit is what happens to knobs when the agent ends on purpose: "revert" (default) or "keep".
	Exit string `json:"exit,omitempty"`
	// GuardGrace is how long the guard waits for a restarted agent before it reverts.
	GuardGrace Duration `json:"guard_grace,omitempty"`
	// Envelope bounds what anybody may set, by mechanism and knob pattern ("*/max_frequency").
	Envelope map[string]map[string]Bound `json:"envelope,omitempty"`
}

// Bound is one line of the envelope. Quantities carry their unit: "2.4 GHz".
type Bound struct {
	Min       string   `json:"min,omitempty"`
	Max       string   `json:"max,omitempty"`
	Step      string   `json:"step,omitempty"`
	MinPeriod Duration `json:"min_period,omitempty"`
	Forbidden bool     `json:"forbidden,omitempty"`
}

// API says where people and programs reach the agent.
type API struct {
	// Socket is the path of the unix socket.
	Socket string `json:"socket,omitempty"`
	// SocketGroup owns the socket: a name or a number; empty is the daemon's own group.
	SocketGroup string `json:"socket_group,omitempty"`
	// SocketMode is the socket's file mode in octal.
	SocketMode string `json:"socket_mode,omitempty"`
	// Listen is a TCP address; it needs TLS and Tokens.
	Listen string `json:"listen,omitempty"`
	TLS    TLS    `json:"tls,omitzero"`
	// Tokens is the path of the token file.
	Tokens string `json:"tokens,omitempty"`
}

// TLS names a certificate and its key, PEM files.
type TLS struct {
	Certificate string `json:"certificate,omitempty"`
	Key         string `json:"key,omitempty"`
}

// Guests bounds what a policy's call may use; a policy may ask for less, never for more.
type Guests struct {
	Fuel        uint64   `json:"fuel,omitempty"`
	Deadline    Duration `json:"deadline,omitempty"`
	MemoryBytes uint64   `json:"memory_bytes,omitempty"`
	Engine      string   `json:"engine,omitempty"` // auto, compiler, interpreter
	Instances   int      `json:"instances,omitempty"`
	// CompileTime is the processor time that compiling one module may take. A slow processor needs more than the default.
	CompileTime Duration `json:"compile_time,omitempty"`
	// CacheDirectory keeps machine code between starts; by default a folder of the state directory. It is executed, so
	// nobody else may write to it.
	CacheDirectory string `json:"cache_directory,omitempty"`
}

// Capability is one thing that adapters may reach from this node.
type Capability struct {
	// Kind is http, file, kv or coap.
	Kind string `json:"kind"`
	// Hosts, with their ports, and Methods: of http and coap. "*.example.org:443" stands for any first label.
	Hosts   []string `json:"hosts,omitempty"`
	Methods []string `json:"methods,omitempty"`
	// Address is where the hosts are, address:port, instead of what the name service says.
	Address string `json:"address,omitempty"`
	// Paths of files; a pattern stays within its segment.
	Paths []string `json:"paths,omitempty"`
	Write bool     `json:"write,omitempty"`
	// Bytes is the most of one body or file, or of a store; 0 is no bound but the manifest's.
	Bytes uint64 `json:"bytes,omitempty"`
}

func (c Capability) offer() capability.Offer {
	return capability.Offer{Kind: c.Kind, Hosts: c.Hosts, Methods: c.Methods, Address: c.Address, Paths: c.Paths, Write: c.Write, Bytes: c.Bytes}
}

// Offers are what adapters may be granted.
func (c *Config) Offers() []capability.Offer {
	var out []capability.Offer
	for _, one := range c.Capabilities {
		out = append(out, one.offer())
	}
	return out
}

// Paths and values of a fresh installation.
const (
	DefaultState     = "/var/lib/edgehold"
	DefaultSocket    = "/run/edgehold/edgehold.sock"
	defaultRetention = 15 * time.Minute
	defaultInterval  = time.Second
	defaultLease     = 30 * time.Second
	defaultGrace     = 2 * time.Second
	defaultPatience  = 2 * time.Second
	defaultSeries    = 4000
	defaultCompile   = 10 * time.Second
)

// SetDefaults fills what the file left out.
func (c *Config) SetDefaults() {
	if c.Name == "" {
		c.Name, _ = os.Hostname()
	}
	c.ContinuumLayer = cmp.Or(c.ContinuumLayer, "node")
	c.StateDirectory = cmp.Or(c.StateDirectory, DefaultState)
	c.ManagementMode = cmp.Or(c.ManagementMode, "heuristic")
	c.Arbitration = cmp.Or(c.Arbitration, "knob")
	c.Telemetry.Retention = cmp.Or(c.Telemetry.Retention, Duration(defaultRetention))
	c.Telemetry.Interval = cmp.Or(c.Telemetry.Interval, Duration(defaultInterval))
	c.Telemetry.MaxSeries = cmp.Or(c.Telemetry.MaxSeries, defaultSeries)
	c.Telemetry.Root = cmp.Or(c.Telemetry.Root, "/")
	c.MechanismPlugins.Root = cmp.Or(c.MechanismPlugins.Root, "/")
	c.MechanismPlugins.Lease = cmp.Or(c.MechanismPlugins.Lease, Duration(defaultLease))
	c.MechanismPlugins.Patience = cmp.Or(c.MechanismPlugins.Patience, Duration(defaultPatience))
	c.MechanismPlugins.Exit = cmp.Or(c.MechanismPlugins.Exit, "revert")
	c.MechanismPlugins.GuardGrace = cmp.Or(c.MechanismPlugins.GuardGrace, Duration(defaultGrace))
	c.API.Socket = cmp.Or(c.API.Socket, DefaultSocket)
	c.API.SocketMode = cmp.Or(c.API.SocketMode, DefaultSocketMode)
	c.Guests.Engine = cmp.Or(c.Guests.Engine, "auto")
	c.Guests.CompileTime = cmp.Or(c.Guests.CompileTime, Duration(defaultCompile))
	c.Guests.CacheDirectory = cmp.Or(c.Guests.CacheDirectory, filepath.Join(c.StateDirectory, "cache"))
	c.Trust.setDefaults(c.Name)
	c.Registry.setDefaults()
	c.Devices.setDefaults()
}

// Validate reports every problem of the configuration at once, each with its key.
func (c *Config) Validate() error {
	var p problems
	p.require(c.Name != "", "name", "is empty and the host name could not be read", "give the agent a name")
	p.oneOf("continuum_layer", c.ContinuumLayer, "node")
	p.oneOf("management_mode", c.ManagementMode, "heuristic", "ml")
	p.oneOf("arbitration", c.Arbitration, "knob", "mechanism")
	p.oneOf("mechanism_plugins.exit", c.MechanismPlugins.Exit, "revert", "keep")
	p.oneOf("guests.engine", c.Guests.Engine, "auto", "compiler", "interpreter")
	p.folder("state_directory", c.StateDirectory)
	p.folder("guests.cache_directory", c.Guests.CacheDirectory)
	if c.SystemDescription != "" {
		_, err := os.Stat(c.SystemDescription)
		p.require(err == nil, "system_description", fmt.Sprintf("can't be read: %v", err), "correct the path or remove the key")
	}
	p.between("telemetry.monitor_interval", c.Telemetry.Interval, 50*time.Millisecond, time.Hour)
	p.between("telemetry.monitor_data_retention_time", c.Telemetry.Retention, time.Second, 24*time.Hour)
	p.require(c.Telemetry.MaxSeries > 0 && c.Telemetry.MaxSeries <= 1_000_000, "telemetry.max_series", "is out of range", "choose 1 to 1000000")
	p.address("telemetry.otlp.grpc", c.Telemetry.OTLP.GRPC)
	p.address("telemetry.otlp.http", c.Telemetry.OTLP.HTTP)
	p.address("telemetry.traces.endpoint", c.Telemetry.Traces.Endpoint)
	p.between("mechanism_plugins.lease", c.MechanismPlugins.Lease, time.Second, 24*time.Hour)
	p.between("mechanism_plugins.patience", c.MechanismPlugins.Patience, 100*time.Millisecond, 2*time.Minute)
	p.between("mechanism_plugins.guard_grace", c.MechanismPlugins.GuardGrace, 100*time.Millisecond, time.Hour)
	p.between("guests.compile_time", c.Guests.CompileTime, time.Second, time.Hour)
	for i, one := range c.Capabilities {
		if err := one.offer().Validate(); err != nil {
			p.require(false, fmt.Sprintf("capabilities[%d]", i), err.Error(), "see `edgeholdd config example`; leave out what no adapter needs")
		}
	}
	c.API.validate(&p)
	c.Trust.validate(&p)
	c.Registry.validate(&p)
	c.Devices.validate(&p)
	return p.err()
}

func (a *API) validate(p *problems) {
	p.require(filepath.IsAbs(a.Socket) && len(a.Socket) < 108, "api.socket",
		"must be an absolute path under 108 bytes", "for example "+DefaultSocket)
	_, err := a.Mode()
	p.require(err == nil, "api.socket_mode", "is not a file mode that keeps others out", "for example "+DefaultSocketMode+"; the last digit is 0")
	_, err = a.GroupID()
	p.require(err == nil, "api.socket_group", "is no group of this machine", "make it with groupadd, or name another")
	if a.Listen == "" {
		return
	}
	p.address("api.listen", a.Listen)
	p.require(a.TLS.Certificate != "" && a.TLS.Key != "", "api.tls", "is needed with api.listen",
		"give certificate and key: TCP without TLS is not offered")
	p.require(a.Tokens != "", "api.tokens", "is needed with api.listen", "make one with `edgehold token create`")
}

// problems collects what is wrong with a configuration.
type problems struct{ all []error }

func (p *problems) require(ok bool, key, what, hint string) {
	if !ok {
		p.all = append(p.all, &Error{Key: key, What: what, Hint: hint})
	}
}

func (p *problems) oneOf(key, value string, choices ...string) {
	p.require(slices.Contains(choices, value), key, fmt.Sprintf("is %q", value), "choose "+strings.Join(choices, " or "))
}

func (p *problems) between(key string, d Duration, low, high time.Duration) {
	p.require(time.Duration(d) >= low && time.Duration(d) <= high, key, fmt.Sprintf("is %s", time.Duration(d)),
		fmt.Sprintf("choose %s to %s", low, high))
}

func (p *problems) address(key, addr string) {
	if addr == "" {
		return
	}
	_, _, err := net.SplitHostPort(addr)
	p.require(err == nil, key, fmt.Sprintf("is %q", addr), "write host:port, for example 127.0.0.1:4317")
}

func (p *problems) folder(key, path string) {
	p.require(filepath.IsAbs(path), key, fmt.Sprintf("is %q", path), "write an absolute path")
}

func (p *problems) err() error { return errors.Join(p.all...) }

// Error is one problem of a configuration file.
type Error struct{ Key, What, Hint string }

func (e *Error) Error() string { return e.Key + " " + e.What }

// ErrorCode names the kind of error for programs.
func (e *Error) ErrorCode() string { return "config.invalid" }

// ErrorHint says what to do about it.
func (e *Error) ErrorHint() string { return e.Hint }
