package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

// maxConfigBytes bounds a configuration file.
const maxConfigBytes = 1 << 20

// Duration is a time span in a configuration: "10s", "1m30s", or a bare number of seconds as D3.3 writes it.
type Duration time.Duration

// UnmarshalJSON reads either form.
func (d *Duration) UnmarshalJSON(b []byte) error {
	s := strings.Trim(string(b), `"`)
	if n, err := strconv.ParseFloat(s, 64); err == nil {
		*d = Duration(n * float64(time.Second))
		return nil
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("duration %q: write a number with its unit, like 10s, 500ms or 15m", s)
	}
	*d = Duration(v)
	return nil
}

// MarshalJSON writes the text form.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// noMetric is a pattern that no name matches.
const noMetric = "-"

// MetricNames is a list of metric names, or the word "None", which D3.3 writes for an empty one.
type MetricNames []string

// UnmarshalJSON reads either form.
func (m *MetricNames) UnmarshalJSON(b []byte) error {
	var word string
	if err := json.Unmarshal(b, &word); err == nil {
		if !strings.EqualFold(word, "none") {
			return fmt.Errorf("metric names %q: write a list, or None", word)
		}
		*m = MetricNames{noMetric}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(m))
}

// Load reads the file at path ("" for none), lays the overrides over it, fills the defaults and validates the
// whole. An override is "key.below=value", as the --set flag and [EnvironOverrides] give it.
func Load(path string, overrides []string) (Config, error) {
	var c Config
	if err := Read(path, overrides, renameFlatKeys, "edgeholdd config example", &c); err != nil {
		return c, err
	}
	c.resolve(filepath.Dir(path))
	c.SetDefaults()
	if err := c.Validate(); err != nil {
		return c, fmt.Errorf("configuration %s: %w", path, err)
	}
	return c, nil
}

// Read reads the file at path ("" for none), lays the overrides over it and decodes the whole into a configuration,
// of an agent or of another role of the daemon; a key that into does not have is an error. Rename, if not nil, may change the
// file's tree before. Example is the command that prints such a configuration with every key.
func Read(path string, overrides []string, rename func(map[string]any), example string, into any) error {
	tree := map[string]any{}
	if path != "" {
		raw, err := readBounded(path)
		if err != nil {
			return fmt.Errorf("read configuration: %w", err)
		}
		if err := yaml.UnmarshalStrict(raw, &tree); err != nil {
			return fmt.Errorf("read configuration %s: %w", path, err)
		}
	}
	if rename != nil {
		rename(tree)
	}
	for _, o := range overrides {
		if err := override(tree, o); err != nil {
			return err
		}
	}
	merged, err := yaml.Marshal(tree)
	if err != nil {
		return fmt.Errorf("merge configuration overrides: %w", err)
	}
	if err := yaml.UnmarshalStrict(merged, into); err != nil {
		return &Error{Key: strings.TrimSpace("configuration " + path), What: cleanYAML(err), Hint: "compare with `" + example + "`"}
	}
	return nil
}

// resolve makes the paths in a file relative to the folder that it lies in.
func (c *Config) resolve(dir string) {
	absolute := func(path string) string {
		if path != "" && !filepath.IsAbs(path) {
			if abs, err := filepath.Abs(filepath.Join(dir, path)); err == nil {
				return abs
			}
		}
		return path
	}
	for _, p := range []*string{
		&c.StateDirectory, &c.SystemDescription, &c.PolicyPlugins.Directory, &c.API.Socket, &c.API.TLS.Certificate,
		&c.API.TLS.Key, &c.API.Tokens, &c.Guests.CacheDirectory, &c.Telemetry.Root, &c.MechanismPlugins.Root,
	} {
		*p = absolute(*p)
	}
	c.Trust.resolve(absolute)
	c.Registry.resolve(absolute)
	c.Devices.resolve(absolute)
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxConfigBytes+1))
	if err == nil && len(raw) > maxConfigBytes {
		err = errors.New("the file is over 1 MiB")
	}
	return raw, err
}

// override sets one value in the tree of a configuration. The value is read as YAML, so numbers, lists and true work.
func override(tree map[string]any, assignment string) error {
	key, value, ok := strings.Cut(assignment, "=")
	if !ok || key == "" {
		return &Error{Key: "--set " + assignment, What: "is not an assignment", Hint: "write key=value, like telemetry.monitor_interval=500ms"}
	}
	var v any
	if err := yaml.Unmarshal([]byte(value), &v); err != nil {
		return &Error{Key: "--set " + key, What: cleanYAML(err), Hint: "quote the value"}
	}
	setKey(tree, key, v)
	return nil
}

// setKey puts v at a dotted key, making the levels above it.
func setKey(tree map[string]any, key string, v any) {
	steps := strings.Split(key, ".")
	for _, step := range steps[:len(steps)-1] {
		below, ok := tree[step].(map[string]any)
		if !ok {
			below = map[string]any{}
			tree[step] = below
		}
		tree = below
	}
	tree[steps[len(steps)-1]] = v
}

// flatKeys maps the top-level keys of the files that MLSysOps publishes to where D3.3's figure 44 has them.
var flatKeys = map[string]string{
	"mechanisms":                    "mechanism_plugins.enabled_plugins",
	"mechanisms_directory":          "mechanism_plugins.directory",
	"policy_directory":              "policy_plugins.directory",
	"default_telemetry_metrics":     "telemetry.default_telemetry_metrics",
	"monitor_data_retention_time":   "telemetry.monitor_data_retention_time",
	"monitoring_interval":           "telemetry.monitor_interval",
	"node_exporter_scrape_interval": "telemetry.monitor_interval",
	"managed_telemetry_enabled":     "telemetry.managed_telemetry.enabled",
	"node_description":              "system_description",
}

func renameFlatKeys(tree map[string]any) {
	for flat, key := range flatKeys {
		if v, ok := tree[flat]; ok {
			delete(tree, flat)
			setKey(tree, key, v)
		}
	}
}

// environPrefix starts the names of environment variables that override the file.
const environPrefix = "EDGEHOLD_"

// EnvironOverrides turns EDGEHOLD_TELEMETRY__MONITOR_INTERVAL=1s into telemetry.monitor_interval=1s: two underscores
// go one level down. Variables that name no section or top key of the configuration are left alone.
func EnvironOverrides(environ []string) []string {
	var known map[string]any
	raw, _ := yaml.Marshal(example())
	_ = yaml.Unmarshal(raw, &known)
	var out []string
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		rest, ok := strings.CutPrefix(name, environPrefix)
		if !ok {
			continue
		}
		key := strings.ReplaceAll(strings.ToLower(rest), "__", ".")
		if top, _, _ := strings.Cut(key, "."); known[top] != nil {
			out = append(out, key+"="+value)
		}
	}
	return out
}

func cleanYAML(err error) string {
	s := strings.TrimPrefix(err.Error(), "error unmarshaling JSON: while decoding JSON: ")
	return strings.TrimPrefix(s, "error converting YAML to JSON: yaml: ")
}

// Example is a configuration with every key and its default, as YAML.
func Example() ([]byte, error) { return yaml.Marshal(example()) }

func example() Config {
	c := Config{
		Name: "node-1", SystemDescription: "/etc/edgehold/node.yaml",
		Behaviours: map[string]map[string]any{"Subscribe": {"enabled": false}},
	}
	c.SetDefaults()
	c.Telemetry.DefaultMetrics = MetricNames{"node_load1", "node_cpu_utilisation_ratio"}
	c.Telemetry.OTLP = OTLP{GRPC: "127.0.0.1:4317", HTTP: "127.0.0.1:4318"}
	c.PolicyPlugins.Directory = "/etc/edgehold/policies"
	c.MechanismPlugins.Enabled = []string{"CPUFrequency"}
	c.MechanismPlugins.Envelope = map[string]map[string]Bound{
		"CPUFrequency": {"*/max_frequency": {Min: "800 MHz", MinPeriod: Duration(time.Second)}},
	}
	c.Guests = Guests{Fuel: 10_000_000, Deadline: Duration(50 * time.Millisecond), MemoryBytes: 16 << 20, Engine: "auto", Instances: 4,
		CompileTime: c.Guests.CompileTime, CacheDirectory: c.Guests.CacheDirectory}
	c.API.SocketGroup = "0"
	c.API.Listen, c.API.Tokens = "127.0.0.1:8443", "/etc/edgehold/tokens"
	c.Trust = Trust{Require: RequireSigned, Root: "/etc/edgehold/pin.json", Clock: ClockSystem, Unsigned: []string{"trial"},
		Source: "/srv/edgehold/published", Follow: true, Node: c.Name, Interval: c.Trust.Interval}
	c.Registry = Registry{Mirrors: []string{"node-2.example:5443"}, Stall: c.Registry.Stall, StoreBytes: c.Registry.StoreBytes}
	c.Devices = Devices{
		Broker: "unix:///run/edgehold/mqtt.sock", Endpoints: []string{"sensor-*"}, Choices: map[string][]string{"TX_PWR": {"LOW", "HIGH"}},
		Properties: []DeviceProperty{{Object: "Connectivity_Monitoring", Property: "Radio_Signal_Strength", Metric: "device_radio_signal_strength_dbm", Unit: "dBm", Scale: 1}},
		Interval:   c.Devices.Interval, Max: c.Devices.Max,
	}
	c.API.TLS = TLS{Certificate: "/etc/edgehold/tls.crt", Key: "/etc/edgehold/tls.key"}
	return c
}
