package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/edgehold/edgehold/plugins/bundle"
	"github.com/edgehold/edgehold/plugins/store"
)

// Way says how a pull got its module.
type Way string

// The ways.
const (
	Kept  Way = "kept"  // it was in the store already
	Delta Way = "delta" // as the difference from one that is in the store
	Whole Way = "whole"
)

// Pulled says what a pull brought.
type Pulled struct {
	Digest   string    // of the module; it is in the store under it
	Bytes    int64     // of the module
	Manifest Reference // by the digest of its manifest, at the place that answered
	Way      Way
	Base     string // digest of the module that a delta was applied to
	Received int64  // bytes of content that came in this call
}

// Pull brings the module of a reference into a store. Have lists digests of modules in the store that a delta may start
// from, the likeliest first; nil is none. What a broken pull has brought stays for the next one to go on with. Pin the
// digest, where it is known, or what collects may take the module before it is named among its roots.
func (c *Client) Pull(ctx context.Context, r Reference, into *store.Store, have ...string) (Pulled, error) {
	what := "pull " + r.String()
	target, err := r.target()
	if err != nil {
		return Pulled{}, err
	}
	places, err := c.sources(r)
	if err != nil {
		return Pulled{}, err
	}
	var failures []error
	for _, p := range places {
		pulled, err := (&pull{client: c, place: p, store: into, have: have}).run(ctx, target)
		if err == nil {
			pulled.Manifest = r.movedTo(p, pulled.Manifest.Digest)
			return pulled, nil
		}
		if ctx.Err() != nil {
			return pulled, explain(what, errors.Join(err, context.Cause(ctx)))
		}
		failures = append(failures, explain(what+" from "+p.name(), err))
	}
	return Pulled{}, failures[len(failures)-1] // the reference's own; that of a mirror says less
}

func (r Reference) movedTo(p place, manifest string) Reference {
	if at, ok := p.(*repository); ok {
		r.Host = at.host
	}
	r.Digest = manifest
	return r
}

// pull is one attempt at one place.
type pull struct {
	client   *Client
	place    place
	store    *store.Store
	have     []string
	received int64
}

func (p *pull) run(ctx context.Context, target string) (Pulled, error) {
	image, raw, err := p.place.manifest(ctx, target)
	if err != nil {
		return Pulled{}, err
	}
	layer, err := bundle.ParseArtefact(raw)
	if err != nil {
		return Pulled{}, err
	}
	pulled := Pulled{Manifest: Reference{Digest: image.Digest.String()}}
	pulled.Way, pulled.Base, pulled.Digest, err = p.module(ctx, image, layer)
	if err != nil {
		return Pulled{}, err
	}
	content, err := p.store.Read(pulled.Digest)
	pulled.Bytes, pulled.Received = int64(len(content)), p.received
	return pulled, err
}

// module gets the module into the store in the cheapest way that there is.
func (p *pull) module(ctx context.Context, image ocispec.Descriptor, l bundle.Layer) (way Way, base, digest string, err error) {
	if !l.IsModule() {
		content, err := p.content(ctx, l.Descriptor)
		if err != nil {
			return "", "", "", err
		}
		module, err := l.Module(content)
		if err != nil {
			return "", "", "", err
		}
		digest, err = p.store.Put(ctx, module)
		return Whole, "", digest, err
	}
	digest = l.Descriptor.Digest.String()
	if _, err := p.store.Read(digest); err == nil {
		return Kept, "", digest, nil
	}
	if base := p.byDelta(ctx, image, l.Descriptor); base != "" {
		return Delta, base, digest, nil
	}
	if ctx.Err() != nil {
		return "", "", "", context.Cause(ctx)
	}
	return Whole, "", digest, p.whole(ctx, l.Descriptor)
}

// whole downloads a blob into the store.
func (p *pull) whole(ctx context.Context, d ocispec.Descriptor) error {
	return p.finish(ctx, d, (*store.Partial).Commit)
}

// content downloads a blob that the store is not to keep.
func (p *pull) content(ctx context.Context, d ocispec.Descriptor) (content []byte, err error) {
	err = p.finish(ctx, d, func(part *store.Partial) (err error) {
		content, err = part.Take()
		return err
	})
	return content, err
}

// finish downloads a blob and has end check it. What an earlier download left may be some other place's lie: if the whole is
// wrong then, this place is asked for all of it.
func (p *pull) finish(ctx context.Context, d ocispec.Descriptor, end func(*store.Partial) error) error {
	part, resumed, err := p.download(ctx, d)
	if err != nil {
		return err
	}
	if err := end(part); !resumed || !errors.Is(err, store.ErrMismatch) {
		return err
	}
	if part, _, err = p.download(ctx, d); err != nil {
		return err
	}
	return end(part)
}

// download brings a blob to its full length. What has come stays in any case.
func (p *pull) download(ctx context.Context, d ocispec.Descriptor) (part *store.Partial, resumed bool, err error) {
	if part, err = p.store.Partial(ctx, d.Digest.String(), d.Size); err != nil {
		return nil, false, err
	}
	resumed = part.Offset() > 0
	if err := p.fill(ctx, d, part); err != nil {
		return nil, false, errors.Join(err, part.Close())
	}
	return part, resumed, nil
}

// progressBytes is what a connection has to bring to count as a success although it broke.
const progressBytes = 4 << 10

// fill goes on over as many connections as it takes, while they bring something.
func (p *pull) fill(ctx context.Context, d ocispec.Descriptor, part *store.Partial) error {
	for failures := 0; part.Offset() < d.Size; {
		before := part.Offset()
		err := p.more(ctx, d, part)
		if err == nil {
			return nil
		}
		if part.Offset() >= before+progressBytes {
			failures = 0
		}
		if failures++; failures >= p.client.config.Attempts || !passing(err) {
			return err
		}
		if err := pause(ctx, p.client.config.Wait(failures)); err != nil {
			return err
		}
	}
	return nil
}

// more opens a connection and takes what it brings.
func (p *pull) more(ctx context.Context, d ocispec.Descriptor, part *store.Partial) error {
	body, start, err := p.place.blob(ctx, d, part.Offset())
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	if start != part.Offset() {
		if err := part.Restart(); err != nil {
			return err
		}
	}
	n, err := io.Copy(part, body) // refuses what goes over the announced length
	p.received += n
	if err == nil && part.Offset() < d.Size {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// passing reports whether trying again may help: not after an answer that was understood, nor after a lie.
func passing(err error) bool {
	var status *statusError
	if errors.As(err, &status) {
		return status.status >= 500 || status.status == 429 || status.status == 408
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	var ours interface{ ErrorCode() string }
	return !errors.As(err, &ours) || ours.ErrorCode() == CodeStalled
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait before going on: %w", context.Cause(ctx))
	}
}
