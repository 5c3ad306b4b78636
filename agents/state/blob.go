package state

import (
	"context"
	"errors"
	"fmt"

	"github.com/edgehold/edgehold/plugins/store"
)

// moduleSuffix ends the names of the modules' files.
const moduleSuffix = ".wasm"

// Store is where the modules are. What is put there without [DB.Accept] goes with the next Collect, unless it is pinned.
func (d *DB) Store() *store.Store { return d.modules }

// Module returns an accepted module, having checked that the disk gave back what
// it was given.
func (d *DB) Module(digest string) ([]byte, error) {
	b, err := d.modules.Read(digest)
	return b, explainModule(digest, err)
}

func explainModule(digest string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrNotFound):
		return unknown("module.not-found", "module "+digest)
	case errors.Is(err, store.ErrBadDigest):
		return &Error{Code: "module.bad-digest", What: fmt.Sprintf("find module %q", digest),
			Why: "that is no digest", Hint: "digests look like sha256:0f3a..."}
	case errors.Is(err, store.ErrDamaged):
		return &Error{Code: "module.damaged", What: "read module " + digest,
			Why: "its content has changed on the disk", Hint: "upload it again and check the disk"}
	case errors.Is(err, store.ErrQuota):
		return &Error{Code: "state.quota", What: "store module " + digest, Why: "modules would take more than they may", Err: err,
			Hint: "delete policies that are not needed, or raise registry.store_bytes"}
	}
	return Explain("use module "+digest, err)
}

func (d *DB) writeBlob(ctx context.Context, module []byte) (digest string, err error) {
	digest, err = d.modules.Put(ctx, module)
	return digest, explainModule(digest, err)
}
