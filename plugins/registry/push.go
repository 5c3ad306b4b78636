package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"oras.land/oras-go/v2/errdef"

	"github.com/edgehold/edgehold/plugins/bundle"
	"github.com/edgehold/edgehold/plugins/delta"
	"github.com/edgehold/edgehold/plugins/store"
)

// PushOptions say what goes with a module.
type PushOptions struct {
	// Bases are earlier modules that deltas are made from, for nodes that have them.
	Bases [][]byte
	// Overwrite lets a tag that names another module name this one. Without it a version means one module for ever.
	Overwrite bool
	// OnlyNew leaves everything as it is where the tag names this module already.
	OnlyNew bool
}

// Pushed says where a module is now.
type Pushed struct {
	Reference Reference // with tag and digest of the manifest
	Digest    string    // of the module
	Known     bool      // it was there, and nothing was done (OnlyNew)
	Deltas    []PushedDelta
}

// PushedDelta is a delta that went with a module.
type PushedDelta struct {
	Base  string
	Bytes int64
}

// Push stores a module under a reference; without a tag in it, under the version in its manifest. A delta that would not
// be smaller than the module is left out.
func (c *Client) Push(ctx context.Context, r Reference, module []byte, o PushOptions) (Pushed, error) {
	what := "push " + r.String()
	if len(module) == 0 || len(module) > bundle.MaxModuleBytes {
		return Pushed{}, &Error{Code: bundle.CodeTooLarge, What: what, Why: fmt.Sprintf("the module has %d bytes, %d are taken", len(module), bundle.MaxModuleBytes), Hint: "a node takes no larger ones"}
	}
	image, err := bundle.Artefact(module)
	if err != nil {
		return Pushed{}, err
	}
	if r.Tag == "" {
		r.Tag = bundle.VersionTag(image.Manifest.Descriptor.Annotations[versionAnnotation])
	}
	if !tagForm.MatchString(r.Tag) {
		return Pushed{}, &Error{Code: CodeReference, What: what, Why: "it has no tag, and the module has no manifest that tells its version", Hint: "add :TAG to the reference"}
	}
	p, err := c.at(r)
	if err != nil {
		return Pushed{}, err
	}
	known, err := free(ctx, p, r.Tag, image, o.Overwrite)
	if err != nil {
		return Pushed{}, explain(what, err)
	}
	r.Digest = image.Manifest.Descriptor.Digest.String()
	pushed := Pushed{Reference: r, Digest: store.Digest(module), Known: known && o.OnlyNew}
	if pushed.Known {
		return pushed, nil
	}
	if err := p.put(ctx, image, r.Tag); err != nil {
		return Pushed{}, explain(what, err)
	}
	pushed.Deltas, err = pushDeltas(ctx, p, image, module, o.Bases)
	return pushed, explain(what+" with its deltas", err)
}

const versionAnnotation = "org.opencontainers.image.version"

// free refuses a tag that names something else, and tells whether it names this image.
func free(ctx context.Context, p place, tag string, image bundle.Image, overwrite bool) (known bool, err error) {
	there, _, err := p.manifest(ctx, tag)
	switch {
	case errors.Is(err, errdef.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err == nil && there.Digest == image.Manifest.Descriptor.Digest:
		return true, nil
	case overwrite:
		return false, nil
	case err == nil:
		err = &Error{Code: CodeTaken, What: "use the tag " + tag, Why: "it names another artefact, " + there.Digest.String(),
			Hint: "raise the version in policy.yaml, or insist with --overwrite"}
	}
	return false, err
}

func pushDeltas(ctx context.Context, p place, image bundle.Image, module []byte, bases [][]byte) (all []PushedDelta, err error) {
	result := store.Digest(module)
	for _, base := range bases {
		digest := store.Digest(base)
		if digest == result {
			continue
		}
		d, err := delta.Encode(base, module)
		if err != nil {
			return all, err
		}
		if len(d) >= len(module) {
			continue
		}
		i, err := bundle.Delta(image.Manifest.Descriptor, digest, result, d)
		if err != nil {
			return all, err
		}
		if err := p.put(ctx, i, ""); err != nil {
			return all, err
		}
		all = append(all, PushedDelta{digest, int64(len(d))})
	}
	return all, nil
}
