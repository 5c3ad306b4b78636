package registry

import (
	"context"
	"sync"

	"github.com/edgehold/edgehold/plugins/bundle"
	"github.com/edgehold/edgehold/plugins/delta"
)

// catalogue remembers what making images and deltas has cost: both follow from digests and never change.
type catalogue struct {
	shelf Shelf

	mu       sync.Mutex
	known    map[string]bundle.Image // by the module's digest; without the module itself
	made     map[pair]bundle.Image   // deltas; one without blobs is not worth having
	order    []pair                  // of made, the oldest first
	encoding chan struct{}           // holds one: making a delta takes a processor and some memory
}

type pair struct{ base, result string }

// Bounds of what is remembered.
const (
	maxKnown  = 256
	maxDeltas = 16
	maxBases  = 2 // for which deltas are made: what runs elsewhere is most likely the version before
)

func newCatalogue(s Shelf) *catalogue {
	return &catalogue{shelf: s, known: map[string]bundle.Image{}, made: map[pair]bundle.Image{}, encoding: make(chan struct{}, 1)}
}

// listed is an image in a repository.
type listed struct {
	bundle.Image
	tag, module string
}

// images lists the images of a repository, the newest first.
func (c *catalogue) images(ctx context.Context, name string) (all []listed, err error) {
	editions, err := c.shelf.Editions(ctx, name)
	if err != nil {
		return nil, err
	}
	for _, e := range editions {
		i, err := c.image(e.Digest)
		if err != nil {
			continue // damaged: what else there is can be handed out
		}
		all = append(all, listed{i, bundle.VersionTag(e.Version), e.Digest})
	}
	return all, nil
}

func (c *catalogue) image(module string) (bundle.Image, error) {
	c.mu.Lock()
	i, ok := c.known[module]
	c.mu.Unlock()
	if ok {
		return i, nil
	}
	content, err := c.shelf.Module(module)
	if err != nil {
		return bundle.Image{}, err
	}
	if i, err = bundle.Artefact(content); err != nil {
		return bundle.Image{}, err
	}
	i.Blobs = i.Blobs[:1] // the module stays where it is
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.known) >= maxKnown {
		clear(c.known)
	}
	c.known[module] = i
	return i, nil
}

// deltas lists the deltas to the image of a digest, from the editions nearest to it, and makes what is missing.
func (c *catalogue) deltas(ctx context.Context, name, manifest string) (found []bundle.Image, err error) {
	all, err := c.images(ctx, name)
	if err != nil {
		return nil, err
	}
	for _, to := range all {
		if to.Manifest.Descriptor.Digest.String() != manifest {
			continue
		}
		for _, from := range all {
			if from.module == to.module || len(found) >= maxBases {
				continue
			}
			if d, err := c.between(ctx, from, to); err == nil && len(d.Blobs) > 0 {
				found = append(found, d)
			}
		}
	}
	return found, nil
}

func (c *catalogue) between(ctx context.Context, from, to listed) (bundle.Image, error) {
	key := pair{from.module, to.module}
	select {
	case c.encoding <- struct{}{}:
		defer func() { <-c.encoding }()
	case <-ctx.Done():
		return bundle.Image{}, ctx.Err()
	}
	c.mu.Lock()
	i, ok := c.made[key]
	c.mu.Unlock()
	if ok {
		return i, nil
	}
	i, err := c.encode(from.module, to)
	if err == nil {
		c.remember(key, i)
	}
	return i, err
}

func (c *catalogue) encode(base string, to listed) (bundle.Image, error) {
	old, err := c.shelf.Module(base)
	if err != nil {
		return bundle.Image{}, err
	}
	module, err := c.shelf.Module(to.module)
	if err != nil {
		return bundle.Image{}, err
	}
	d, err := delta.EncodeLean(old, module) // on a node, beside what it is there for
	if err != nil || len(d) >= len(module) {
		return bundle.Image{}, err
	}
	return bundle.Delta(to.Manifest.Descriptor, base, to.module, d)
}

func (c *catalogue) remember(key pair, i bundle.Image) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.made[key] = i
	if c.order = append(c.order, key); len(c.order) > maxDeltas {
		delete(c.made, c.order[0])
		c.order = c.order[1:]
	}
}

// delta finds one that was made.
func (c *catalogue) delta(match func(bundle.Image) bool) (bundle.Image, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, i := range c.made {
		if len(i.Blobs) > 0 && match(i) {
			return i, true
		}
	}
	return bundle.Image{}, false
}
