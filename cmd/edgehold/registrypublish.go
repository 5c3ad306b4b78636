package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/edgehold/edgehold/cmd/internal/cli"
	"github.com/edgehold/edgehold/plugins/bundle"
	"github.com/edgehold/edgehold/plugins/registry"
	"github.com/edgehold/edgehold/plugins/sign"
	"github.com/edgehold/edgehold/wasmabi"
)

// maxBases is how many versions before a module deltas are made from.
const maxBases = 2

// edition is a module in a published folder.
type edition struct {
	name, version string
	module        []byte
}

// publish pushes what an operator publishes: the modules first and the metadata last, so that no node is told to run what
// it can't get.
func (a *app) publish(c *cobra.Command, p *cli.Printer, client *registry.Client, r registry.Reference, folder string) error {
	files, err := publishedFiles(folder, sign.ImagesFolder, sign.DirectorFolder)
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return &cli.Failure{Attempt: "push what is published in " + folder, Code: "registry.no-metadata",
			Why: "there is no metadata in its folders images and director", Hint: "give the folder that `edgehold trust` publishes"}
	}
	editions, err := publishedModules(folder)
	if err != nil {
		return err
	}
	progress := cli.NewProgress(a.err)
	defer progress.Done()
	var pushed []registry.Pushed
	for i, e := range editions {
		progress.Step("pushing %s %s", e.name, e.version)
		x, err := client.Push(c.Context(), r.Below(e.name).WithTag(bundle.VersionTag(e.version)), e.module, registry.PushOptions{OnlyNew: true, Bases: before(editions[:i], e.name)})
		if err != nil {
			return err
		}
		pushed = append(pushed, x)
	}
	if err := client.PushMetadata(c.Context(), r, files); err != nil {
		return err
	}
	progress.Done()
	at := r.WithTag("").String()
	return p.Object(map[string]any{"reference": at, "metadata_files": len(files), "modules": pushed}, at, func(d *cli.Details) {
		for _, x := range pushed {
			state := fmt.Sprintf("pushed with %d deltas", len(x.Deltas))
			if x.Known {
				state = "there already"
			}
			d.Text("%s: %s", x.Reference, state)
		}
		d.Text("%s: %d files of trust metadata", at, len(files))
	})
}

// publishedModules reads the modules of a published folder, by name and then by version.
func publishedModules(folder string) (all []edition, err error) {
	paths, err := filepath.Glob(filepath.Join(folder, sign.ModulesFolder, "*.wasm"))
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("read a published module: %w", err)
		}
		m, err := wasmabi.ReadManifest(raw)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		all = append(all, edition{m.Name, m.Version, raw})
	}
	slices.SortFunc(all, func(a, b edition) int {
		return cmp.Or(strings.Compare(a.name, b.name), compareVersions(a.version, b.version))
	})
	return all, nil
}

// before returns the nearest modules of a name.
func before(all []edition, name string) (bases [][]byte) {
	for _, e := range slices.Backward(all) {
		if e.name == name && len(bases) < maxBases {
			bases = append(bases, e.module)
		}
	}
	return bases
}

// compareVersions orders versions well enough to find those before one: numbers as numbers, the rest as text.
func compareVersions(a, b string) int {
	split := func(v string) []string {
		return strings.FieldsFunc(v, func(r rune) bool { return strings.ContainsRune(".-+", r) })
	}
	return slices.CompareFunc(split(a), split(b), func(x, y string) int {
		m, errX := strconv.Atoi(x)
		n, errY := strconv.Atoi(y)
		if errX == nil && errY == nil {
			return cmp.Compare(m, n)
		}
		return strings.Compare(x, y)
	})
}

// vouchedModules lists the modules that the metadata in a place vouches for, with the references that they are under.
func vouchedModules(ctx context.Context, s sign.Source, r registry.Reference) (all []string, err error) {
	files, err := imagesOf(ctx, s)
	if err != nil {
		return nil, err
	}
	for name, raw := range files {
		if !strings.HasSuffix(name, "."+sign.Targets+".json") {
			continue
		}
		var document struct {
			Signed struct {
				Targets map[string]json.RawMessage `json:"targets"`
			} `json:"signed"`
		}
		if err := json.Unmarshal(raw, &document); err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		for _, target := range slices.Sorted(maps.Keys(document.Signed.Targets)) {
			name, version, _ := strings.Cut(strings.TrimSuffix(target, ".wasm"), "/")
			all = append(all, r.Below(name).WithTag(bundle.VersionTag(version)).String())
		}
	}
	return all, nil
}
