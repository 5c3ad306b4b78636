package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"

	sdk "github.com/extism/go-sdk"

	"github.com/edgehold/edgehold/host/capability"
	"github.com/edgehold/edgehold/host/extism/fallback"
	"github.com/edgehold/edgehold/host/extism/helper"
	"github.com/edgehold/edgehold/host/extism/mount"
	"github.com/edgehold/edgehold/wasmabi"
)

// confine gives an adapter what it was granted, and nothing that its manifest for the SDK might name.
func confine(o *helper.Order, m *sdk.Manifest, c *sdk.PluginConfig) (err error) {
	var g fallback.Grant
	if err := json.Unmarshal(o.Grant, &g); err != nil {
		return fmt.Errorf("read what the adapter was granted: %w", err)
	}
	if len(m.Wasm) != 1 || len(m.AllowedPaths) > 0 || len(m.AllowedHosts) > 0 {
		return fmt.Errorf("the manifest grants what only capabilities may")
	}
	with := capability.Config{Offers: g.Offers, Root: g.Root}
	http.DefaultClient = capability.NewClient(g.Capabilities, with) // the one that the SDK uses
	m.AllowedHosts = hostNames(g.Capabilities)
	c.ModuleConfig = mount.Config(capability.NewFiles(g.Capabilities, with))
	c.RuntimeConfig, err = mount.Runtime(o.CacheDir)
	return err
}

// hostNames is what the SDK asks for: names without ports. The client's judgement is the narrower one.
func hostNames(all []wasmabi.CapabilityRequest) (out []string) {
	for _, c := range all {
		for _, h := range c.Hosts {
			if c.Kind != wasmabi.CapabilityHTTP {
				continue
			}
			name, _, err := net.SplitHostPort(h)
			if err != nil {
				name = h
			}
			if !strings.ContainsAny(name, "[]{}?!\\") {
				out = append(out, name)
			}
		}
	}
	return out
}
