package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// figure44 is the example file of D3.3 §8.5.3, key for key.
const figure44 = `
telemetry:
  default_telemetry_metrics: "None"
  monitor_data_retention_time: 30
  monitor_interval: 10s
  managed_telemetry:
    enabled: True
policy_plugins:
  directory: "policies"
mechanism_plugins:
  directory: "mechanisms"
  enabled_plugins:
    - "CPUFrequencyConfigurator"
continuum_layer: "node"
system_description: 'descriptions/rpi5-1.yaml'
behaviours:
  APIPingBehaviour:
    enabled: False
  Subscribe:
    enabled: False
`

func writeConfig(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "agent.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFigure44Loads(t *testing.T) {
	path := writeConfig(t, figure44)
	description := filepath.Join(filepath.Dir(path), "descriptions", "rpi5-1.yaml")
	if err := os.MkdirAll(filepath.Dir(description), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(description, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := time.Duration(c.Telemetry.Interval); got != 10*time.Second {
		t.Errorf("monitor_interval: got %v, want 10s", got)
	}
	if got := time.Duration(c.Telemetry.Retention); got != 30*time.Second {
		t.Errorf("monitor_data_retention_time: got %v, want 30s", got)
	}
	if got := c.Telemetry.DefaultMetrics; len(got) != 1 || got[0] != noMetric {
		t.Errorf("default_telemetry_metrics None: got %v, want a pattern that no metric matches", got)
	}
	if c.SystemDescription != description {
		t.Errorf("system_description: got %s, want it beside the file", c.SystemDescription)
	}
}

// TestPublishedFileLoads reads the flat form of the files that MLSysOps publishes (agents/node/config.yaml, Apache-2.0).
func TestPublishedFileLoads(t *testing.T) {
	path := writeConfig(t, `
  mechanisms:
    - "CPUFrequencyConfigurator"
  default_telemetry_metrics: "None"
  policy_directory: "/etc/mlsysops/policies"
  mechanisms_directory: "mechanisms"
  continuum_layer: "node"
  monitor_data_retention_time: 30
  node_exporter_scrape_interval: 10s
  behaviours:
      HeartbeatBehaviour:
          enabled: False
          period: 10
`)
	c, err := Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.PolicyPlugins.Directory != "/etc/mlsysops/policies" || time.Duration(c.Telemetry.Interval) != 10*time.Second {
		t.Errorf("flat keys not taken over: %+v", c)
	}
}

func TestOverridesWinOverTheFile(t *testing.T) {
	path := writeConfig(t, "telemetry: {monitor_interval: 10s}\n")
	overrides := EnvironOverrides([]string{
		"EDGEHOLD_TELEMETRY__MONITOR_INTERVAL=2s", "EDGEHOLD_SOCKET=/run/x", "HOME=/root", "EDGEHOLD_NAME=alpha",
	})
	c, err := Load(path, append(overrides, "telemetry.otlp.grpc=127.0.0.1:0", "mechanism_plugins.enabled_plugins=[CPUFrequency]"))
	if err != nil {
		t.Fatal(err)
	}
	if time.Duration(c.Telemetry.Interval) != 2*time.Second || c.Name != "alpha" || c.Telemetry.OTLP.GRPC != "127.0.0.1:0" {
		t.Errorf("overrides not applied: %+v", c)
	}
	if len(c.MechanismPlugins.Enabled) != 1 {
		t.Errorf("a list by --set: got %v", c.MechanismPlugins.Enabled)
	}
}

func TestConfigurationErrorsComeTogetherAndSayWhatToDo(t *testing.T) {
	path := writeConfig(t, `
continuum_layer: cloud
management_mode: magic
telemetry: {monitor_interval: 1ms, otlp: {grpc: nowhere}}
api: {listen: "0.0.0.0:8443"}
`)
	_, err := Load(path, nil)
	if err == nil {
		t.Fatal("accepted")
	}
	for _, key := range []string{
		"continuum_layer", "management_mode", "telemetry.monitor_interval", "telemetry.otlp.grpc", "api.tls", "api.tokens",
	} {
		if !strings.Contains(err.Error(), key) {
			t.Errorf("%s is missing from: %v", key, err)
		}
	}
}

func TestUnknownAndDuplicateKeysAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"unknown":   "monitor_intervall: 3s\n",
		"duplicate": "name: a\nname: b\n",
		"not yaml":  "a: [b\n",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Load(writeConfig(t, text), nil); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func TestExampleIsComplete(t *testing.T) {
	text, err := Example()
	if err != nil {
		t.Fatal(err)
	}
	path := writeConfig(t, string(text))
	if _, err := Load(path, []string{"system_description=" + path, "trust.root=" + writePin(t)}); err != nil {
		t.Errorf("the example does not load: %v", err)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(figure44))
	f.Add([]byte("telemetry: {monitor_data_retention_time: 1e99}\n"))
	f.Add([]byte("a: &a [*a]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "agent.yaml")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Skip(err)
		}
		c, err := Load(path, nil)
		if err == nil {
			err = c.Validate()
			if err != nil {
				t.Errorf("loaded, yet not valid: %v", err)
			}
		}
	})
}
