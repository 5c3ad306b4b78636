package node

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"strings"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/plugins/rollout/report"
)

// newRolloutID names a rollout: 13 characters that a person can type.
func newRolloutID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails, see its documentation
	return strings.ToLower(base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:]))
}

// showRollout is a rollout for people. A version whose row can't be read is shown by its digest.
func (p *policies) showRollout(ctx context.Context, t *trial) api.Rollout {
	versions, err := p.db.Versions(ctx, t.name)
	if err != nil {
		p.log.Warn("versions can't be read", "policy", t.name, "error", err)
	}
	return report.Rollout(t.name, &t.state, func(digest string) string {
		for _, v := range versions {
			if v.Digest == digest {
				return v.Version
			}
		}
		return digest
	})
}
