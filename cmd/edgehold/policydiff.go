package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/cmd/internal/cli"
	"github.com/edgehold/edgehold/plugins/anatomy"
	"github.com/edgehold/edgehold/plugins/delta"
	"github.com/edgehold/edgehold/plugins/store"
	"github.com/edgehold/edgehold/wasmabi"
)

// comparison is how two artefacts differ.
type comparison struct {
	Digests  [2]string          `json:"digests"`
	Bytes    [2]int             `json:"size_bytes"`
	Delta    int                `json:"delta_bytes"`
	Manifest []change           `json:"manifest"`
	Wider    []string           `json:"wider"` // what the second may and the first may not
	Code     anatomy.Difference `json:"code"`
}

// change is one value of a manifest that differs; empty is absent.
type change struct {
	Field  string `json:"field"`
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

func (a *app) policyDiff() *cobra.Command {
	var f registryFlags
	c := &cobra.Command{
		Use: "diff A B", Short: "Compare two versions: manifest, rights, code, size of a delta", Args: args(2, 2, "two modules, bundles or references"),
		Long:    "What the second may do and the first may not is marked: read that before you let it run.",
		Example: "  edgehold policy diff old.wasm new.wasm",
	}
	f.add(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		p, err := a.printer()
		if err != nil {
			return err
		}
		var both [2]artefact
		for i, argument := range args {
			if both[i], err = a.artefact(c.Context(), &f, argument); err != nil {
				return err
			}
		}
		d, err := compare(both[0].module, both[1].module)
		if err != nil {
			return err
		}
		return p.Object(d, d.Digests[1], d.describe)
	}
	return c
}

func compare(a, b []byte) (*comparison, error) {
	d := &comparison{Digests: [2]string{store.Digest(a), store.Digest(b)}, Bytes: [2]int{len(a), len(b)}, Manifest: []change{}, Wider: []string{}}
	before, err := wasmabi.ReadManifest(a)
	if err != nil {
		return nil, err
	}
	after, err := wasmabi.ReadManifest(b)
	if err != nil {
		return nil, err
	}
	d.Manifest, d.Wider = manifestChanges(summarize(before), summarize(after)), wider(before, after)
	parts, err := anatomy.Read(a)
	if err != nil {
		return nil, err
	}
	next, err := anatomy.Read(b)
	if err != nil {
		return nil, err
	}
	d.Code = anatomy.Compare(parts, next)
	encoded, err := delta.Encode(a, b)
	d.Delta = len(encoded)
	return d, err
}

// manifestChanges compares two manifests field by field. Entries of lists are known by their names.
func manifestChanges(a, b api.ManifestSummary) []change {
	before, after := flatten(a), flatten(b)
	fields := slices.Concat(slices.Collect(maps.Keys(before)), slices.Collect(maps.Keys(after)))
	slices.Sort(fields)
	all := []change{}
	for _, field := range slices.Compact(fields) {
		if before[field] != after[field] {
			all = append(all, change{field, before[field], after[field]})
		}
	}
	return all
}

func flatten(m api.ManifestSummary) map[string]string {
	raw, _ := json.Marshal(m)
	var tree any
	_ = json.Unmarshal(raw, &tree)
	all := map[string]string{}
	flattenInto(all, "", tree)
	return all
}

func flattenInto(all map[string]string, path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, below := range v {
			flattenInto(all, strings.TrimPrefix(path+"."+key, "."), below)
		}
	case []any:
		for i, below := range v {
			key := fmt.Sprint(i)
			if entry, ok := below.(map[string]any); ok && entry["name"] != nil {
				key = fmt.Sprint(entry["name"])
			}
			flattenInto(all, path+"["+key+"]", below)
		}
	default:
		all[path] = fmt.Sprint(v)
	}
}

func (c *comparison) describe(d *cli.Details) {
	d.Fieldf("Digest", "%s -> %s", shortDigest(c.Digests[0]), shortDigest(c.Digests[1]))
	d.Fieldf("Size", "%s -> %s", api.FormatBytes(int64(c.Bytes[0])), api.FormatBytes(int64(c.Bytes[1])))
	d.Fieldf("Delta", "%s, %.1f %% of the module", api.FormatBytes(int64(c.Delta)), 100*float64(c.Delta)/float64(c.Bytes[1]))
	d.Heading("Wider rights")
	if len(c.Wider) == 0 {
		d.Line("None: it may do nothing that the first may not.")
	}
	for _, w := range c.Wider {
		d.Line("! %s", w)
	}
	d.Heading("Manifest")
	if len(c.Manifest) == 0 {
		d.Line("No difference.")
	}
	for _, m := range c.Manifest {
		d.Line("%s: %s -> %s", m.Field, orDash(m.Before), orDash(m.After))
	}
	d.Heading("Code")
	d.Line("%d functions are the same", c.Code.Same)
	for _, part := range []struct {
		what  string
		names []string
	}{{"added", c.Code.Added}, {"removed", c.Code.Removed}, {"changed", c.Code.Changed}} {
		if len(part.names) > 0 {
			d.Line("%d %s: %s", len(part.names), part.what, some(part.names))
		}
	}
	if c.Code.Unnamed > 0 {
		d.Line("%d differ and have no name: the module was built without names", c.Code.Unnamed)
	}
}

const shownFunctions = 20

func some(names []string) string {
	if len(names) > shownFunctions {
		return list(names[:shownFunctions]) + fmt.Sprintf(" and %d more", len(names)-shownFunctions)
	}
	return list(names)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
