package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/edgehold/edgehold/plugins/bundle"
	"github.com/edgehold/edgehold/plugins/registry"
	"github.com/edgehold/edgehold/plugins/sign"
	"github.com/edgehold/edgehold/plugins/store"
)

// registryFlags say how registries are reached from here. The agent has a configuration of its own.
type registryFlags struct {
	credentials, ca string
	plain           []string
}

func (f *registryFlags) add(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&f.credentials, "credentials", "", "file in the form of Docker's config.json (EDGEHOLD_REGISTRY_CREDENTIALS; default ~/.docker/config.json, if there is one)")
	flags.StringVar(&f.ca, "registry-ca", "", "certificates that registries are checked against, PEM")
	flags.StringSliceVar(&f.plain, "plain-http", nil, "host[:port] that is reached without TLS; this machine is anyway")
}

func (f *registryFlags) client(getenv func(string) string) (*registry.Client, error) {
	path := cmp.Or(f.credentials, getenv("EDGEHOLD_REGISTRY_CREDENTIALS"))
	if path == "" {
		usual := filepath.Join(getenv("HOME"), ".docker", "config.json")
		if info, err := os.Stat(usual); err == nil && info.Mode().IsRegular() {
			path = usual
		}
	}
	return registry.New(registry.Config{CredentialsFile: path, CAFile: f.ca, PlainHTTP: f.plain})
}

// artefact is a module that a command was given, however.
type artefact struct {
	module []byte
	trust  map[string][]byte // that came with it in a bundle
	source sign.Source       // of metadata, where it was pulled from
	from   string            // its reference, pinned; empty for a file
}

// artefact reads a module's or a bundle's file, or pulls what a reference names.
func (a *app) artefact(ctx context.Context, f *registryFlags, argument string) (artefact, error) {
	if registry.IsReference(argument) {
		return a.pull(ctx, f, argument)
	}
	raw, err := a.readFile(argument)
	if err != nil || !bundle.Is(raw) {
		return artefact{module: raw}, err
	}
	b, err := bundle.Read(bytes.NewReader(raw))
	if err != nil {
		return artefact{}, err
	}
	return artefact{module: b.Module, trust: b.Trust}, nil
}

// readFile reads a module's or a bundle's file, or standard input for "-", up to a little more than any may have, so that
// what is too large is refused with better words by whoever judges it.
func (a *app) readFile(path string) ([]byte, error) {
	in := a.in
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("read module: %w", err)
		}
		defer file.Close()
		in = file
	}
	raw, err := io.ReadAll(io.LimitReader(in, bundle.MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read module: %w", err)
	}
	return raw, nil
}

func (a *app) pull(ctx context.Context, f *registryFlags, reference string) (_ artefact, err error) {
	r, err := registry.Parse(reference)
	if err != nil {
		return artefact{}, err
	}
	client, err := f.client(a.getenv)
	if err != nil {
		return artefact{}, err
	}
	dir, err := os.MkdirTemp("", "edgehold-pull-")
	if err != nil {
		return artefact{}, fmt.Errorf("make a folder to pull into: %w", err)
	}
	defer os.RemoveAll(dir)
	into, err := store.Open(dir, store.Options{})
	if err != nil {
		return artefact{}, err
	}
	pulled, err := client.Pull(ctx, r, into)
	if err != nil {
		return artefact{}, err
	}
	module, err := into.Read(pulled.Digest)
	return artefact{module: module, source: client.Source(r), from: pulled.Manifest.String()}, err
}

// metadata is where the metadata of trust for an artefact is: a published folder, if one is given, or what came with it.
func (x *artefact) metadata(folder string) sign.Source {
	switch {
	case folder != "":
		return sign.Folder(folder)
	case x.source != nil:
		return x.source
	}
	return sign.Files(x.trust)
}

// signature says what a node that trusts the given pin would make of the artefact's signatures.
func (x *artefact) signature(ctx context.Context, pin, folder string) (v sign.Voucher, err error) {
	raw, err := os.ReadFile(pin)
	if err != nil {
		return v, fmt.Errorf("read the root of trust: %w", err)
	}
	dir, err := os.MkdirTemp("", "edgehold-trust-")
	if err != nil {
		return v, fmt.Errorf("make a folder for the metadata: %w", err)
	}
	defer os.RemoveAll(dir)
	client, err := sign.Open(dir, raw, sign.Options{})
	if err != nil {
		return v, err
	}
	if err := client.Update(ctx, sign.Under(x.metadata(folder), sign.ImagesFolder), nil); err != nil {
		return v, err
	}
	return client.Verify(store.Digest(x.module), int64(len(x.module)))
}

// publishedFiles reads the metadata of a published folder: what lies in its folders images and director.
func publishedFiles(folder string, parts ...string) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, part := range parts {
		err := filepath.WalkDir(filepath.Join(folder, part), func(path string, entry os.DirEntry, err error) error {
			if errors.Is(err, os.ErrNotExist) && path == filepath.Join(folder, part) {
				return filepath.SkipDir
			}
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".json") {
				return err
			}
			name, err := filepath.Rel(folder, path)
			if err != nil {
				return err
			}
			files[filepath.ToSlash(name)], err = os.ReadFile(path)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("read the metadata in %s: %w", folder, err)
		}
	}
	return files, nil
}
