package node

import (
	"context"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/plugins/sign"
	"github.com/edgehold/edgehold/wasmabi"
)

// assignedKey is the setting that says which digest of a policy was installed because it was assigned.
func assignedKey(policy string) string { return "assigned/" + policy }

// Installed implements trust.Installer.
func (p *policies) Installed(ctx context.Context, policy string) (string, error) {
	digest, _, err := p.db.Setting(ctx, assignedKey(policy))
	return digest, err
}

// Install implements trust.Installer.
func (p *policies) Install(ctx context.Context, a sign.Assignment, raw []byte, how *api.RolloutStart) error {
	if m, err := wasmabi.ReadManifest(raw); err == nil && m.Kind == wasmabi.KindAdapter {
		how = nil // there is nothing to compare
	}
	if _, err := p.Upload(ctx, raw, api.UploadOptions{Rollout: how}, api.DirectorActor); err != nil {
		return err
	}
	return p.db.SetSetting(ctx, assignedKey(a.Name), a.Digest)
}
