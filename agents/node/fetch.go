package node

import (
	"bytes"
	"context"
	"io/fs"
	"path"

	"github.com/edgehold/edgehold/agents/node/trust"
	"github.com/edgehold/edgehold/agents/state"
	"github.com/edgehold/edgehold/plugins/bundle"
	"github.com/edgehold/edgehold/plugins/registry"
)

// fetcher gets modules out of whatever an upload brings or names.
type fetcher struct {
	client *registry.Client
	db     *state.DB
	trust  *trust.Judge
}

// module returns the module of an upload: raw itself, or what a bundle holds, or what a reference names, and then from where
// it came. Metadata that came with it has been taken in; whether the module may run is judged afterwards as ever.
func (f *fetcher) module(ctx context.Context, raw []byte, reference string) (module []byte, from string, err error) {
	switch {
	case reference != "":
		return f.pull(ctx, reference)
	case bundle.Is(raw):
		b, err := bundle.Read(bytes.NewReader(raw))
		if err != nil {
			return nil, "", err
		}
		return b.Module, "", f.trust.TakeIn(ctx, b.Trust)
	}
	return raw, "", nil
}

func (f *fetcher) pull(ctx context.Context, reference string) (module []byte, from string, err error) {
	r, err := registry.Parse(reference)
	if err != nil {
		return nil, "", err
	}
	if r.Scheme != registry.OCI {
		return nil, "", &Error{Code: registry.CodeReference, What: "pull " + reference, Why: "an agent pulls from registries, not from its folders",
			Hint: "write oci://host/repository:tag"}
	}
	have, err := f.bases(ctx, path.Base(r.Repository))
	if err != nil {
		return nil, "", err
	}
	if err := f.makeRoom(ctx); err != nil {
		return nil, "", err
	}
	pulled, err := f.client.Pull(ctx, r, f.db.Store(), have...)
	if err != nil {
		return nil, "", err
	}
	if module, err = f.db.Module(pulled.Digest); err != nil {
		return nil, "", err
	}
	return module, pulled.Manifest.String(), f.trust.Learn(ctx, f.client.Source(r))
}

// makeRoom has old versions go where the store could not take another module.
func (f *fetcher) makeRoom(ctx context.Context) error {
	return f.db.MakeRoom(ctx, bundle.MaxModuleBytes, keptVersions)
}

// bases are the modules that deltas may start from: those of the policy that is likely meant first, then all that run.
func (f *fetcher) bases(ctx context.Context, likely string) (all []string, err error) {
	ps, err := f.db.Policies(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range ps {
		if p.Name == likely {
			all = append([]string{p.Active, p.Standby}, all...)
			continue
		}
		all = append(all, p.Active, p.Standby)
	}
	return all, nil
}

// shelf is what this node hands out as a mirror.
type shelf struct {
	db    *state.DB
	trust *trust.Judge
}

// Editions lists the versions of a policy that did not misbehave here.
func (s *shelf) Editions(ctx context.Context, name string) (all []registry.Edition, err error) {
	versions, err := s.db.Versions(ctx, name)
	if err != nil {
		return nil, err
	}
	for _, v := range versions {
		if v.State != state.Quarantined {
			all = append(all, registry.Edition{Version: v.Version, Digest: v.Digest})
		}
	}
	if len(all) == 0 {
		return nil, fs.ErrNotExist
	}
	return all, nil
}

// Module implements registry.Shelf.
func (s *shelf) Module(digest string) ([]byte, error) { return s.db.Module(digest) }

// Trust hands on what this node believes of the modules that exist.
func (s *shelf) Trust(context.Context) (map[string][]byte, error) { return s.trust.Files(), nil }
