package registry

import (
	"cmp"
	"context"
	"slices"
	"strconv"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/edgehold/edgehold/plugins/bundle"
	"github.com/edgehold/edgehold/plugins/delta"
)

// offer is a delta that could be used.
type offer struct {
	image ocispec.Descriptor
	base  string
	bytes int64
}

// byDelta tries to make the module of one that the store has, and returns the base's digest; empty if there is no delta
// that is smaller than the module, or whatever goes wrong: the whole module is the answer to all of that.
func (p *pull) byDelta(ctx context.Context, image, module ocispec.Descriptor) (base string) {
	for _, o := range p.offers(ctx, image, module) {
		if p.apply(ctx, o, module) == nil {
			return o.base
		}
		if ctx.Err() != nil {
			return ""
		}
	}
	return ""
}

// maxOffers bounds how many deltas are tried.
const maxOffers = 2

// offers lists the deltas that start from what the store has and are smaller than the module, the smallest first. The
// annotations that it chooses by are claims; [pull.apply] finds out.
func (p *pull) offers(ctx context.Context, image, module ocispec.Descriptor) (all []offer) {
	if len(p.have) == 0 {
		return nil
	}
	images, err := p.place.referrers(ctx, image, bundle.ArtifactTypeDelta)
	if err != nil {
		return nil
	}
	for _, d := range images {
		base := d.Annotations[bundle.AnnotationBase]
		bytes, err := strconv.ParseInt(d.Annotations[bundle.AnnotationBytes], 10, 64)
		usable := err == nil && bytes > 0 && bytes < module.Size && slices.Contains(p.have, base) && base != module.Digest.String()
		if usable && d.Annotations[bundle.AnnotationResult] == module.Digest.String() && p.store.Has(base) {
			all = append(all, offer{d, base, bytes})
		}
	}
	slices.SortFunc(all, func(a, b offer) int { return cmp.Compare(a.bytes, b.bytes) })
	return all[:min(len(all), maxOffers)]
}

func (p *pull) apply(ctx context.Context, o offer, module ocispec.Descriptor) error {
	_, raw, err := p.place.manifest(ctx, o.image.Digest.String())
	if err != nil {
		return err
	}
	d, err := bundle.ParseDelta(raw)
	if err != nil {
		return err
	}
	if d.Size >= module.Size {
		return lied("the delta", "it is no smaller than the module")
	}
	base, err := p.store.Read(o.base)
	if err != nil {
		return err
	}
	content, err := p.content(ctx, d)
	if err != nil {
		return err
	}
	made, err := delta.Apply(base, content, module.Size)
	if err != nil {
		return err
	}
	part, err := p.store.Partial(ctx, module.Digest.String(), module.Size)
	if err != nil {
		return err
	}
	defer func() { _ = part.Close() }()
	if err := part.Restart(); err != nil {
		return err
	}
	if _, err := part.Write(made); err != nil {
		return err
	}
	return part.Commit() // or throws it away: the digest decides
}
