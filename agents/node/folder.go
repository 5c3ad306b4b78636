package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/state"
	"github.com/edgehold/edgehold/plugins/store"
)

// maxFolderModule bounds a module read from the policy folder; what is larger would be refused anyway.
const maxFolderModule = 8 << 20

// uploadFolder uploads the modules of a folder that this node has not seen yet. What a person has uploaded, disabled or
// rolled back or deleted since is left as it is.
func (p *policies) uploadFolder(ctx context.Context, dir string) {
	if dir == "" {
		return
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*.wasm"))
	if err != nil {
		p.log.Error("policy folder can't be read", "folder", dir, "error", err)
		return
	}
	for _, path := range paths {
		if err := p.uploadFile(ctx, path); err != nil {
			p.log.Error("policy from the folder is not accepted", "path", path, "error", err)
		}
	}
}

func (p *policies) uploadFile(ctx context.Context, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("it is not a regular file")
	}
	if info.Size() > maxFolderModule {
		return fmt.Errorf("%d bytes are more than a module may have", info.Size())
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if _, err := p.db.Module(store.Digest(raw)); err == nil || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, state.ErrNotFound) {
		return err
	}
	if dropped, err := p.db.Dropped(ctx, store.Digest(raw)); err != nil || dropped { // a person deleted it
		return err
	}
	_, err = p.Upload(ctx, raw, api.UploadOptions{}, api.DaemonActor)
	return err
}
