package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/state"
	"github.com/edgehold/edgehold/plugins/sign"
	"github.com/edgehold/edgehold/wasmabi"
)

// trust says whose modules may run here. Without a root to trust everything is unsigned.
type trust struct {
	config Trust
	client *sign.Client // nil without a root
}

// openTrust opens what this node believes. folder is the one of its state.
func openTrust(c Trust, folder string) (*trust, error) {
	if c.Root == "" {
		return &trust{config: c}, nil
	}
	pin, err := readBounded(c.Root)
	if err != nil {
		return nil, fmt.Errorf("read trust.root: %w", err)
	}
	o := sign.Options{IgnoreClock: c.Clock == clockSigned}
	if c.Follow {
		o.Node = c.Node
	}
	client, err := sign.Open(folder, pin, o)
	if err != nil {
		return nil, err
	}
	return &trust{config: c, client: client}, nil
}

// verdict is what stands behind a module that is new here.
type verdict struct {
	api.Trust
	voucher *sign.Voucher // of a signed one
}

// judge says whether a module may come in, before any of its code does anything.
func (t *trust) judge(raw []byte, digest string) (*verdict, error) {
	name, version := "", ""
	if m, err := wasmabi.ReadManifest(raw); err == nil { // what is no module is refused later, with better words
		name, version = m.Name, m.Version
	}
	what := "verify " + subject(name, version, digest)
	if t.client == nil {
		return unsigned(noRoot), nil
	}
	v, err := t.client.Verify(digest, int64(len(raw)))
	switch {
	case err == nil:
		return t.vouched(what, name, version, v)
	case sign.Code(err) == sign.CodeExpired && t.isInstalled(digest):
		return t.vouched(what, name, version, v)
	case sign.Code(err) == sign.CodeRevoked || !t.mayBeUnsigned(name):
		return nil, t.refused(what, err)
	}
	return unsigned(whyOf(err)), nil
}

const noRoot = "this node has no root of trust"

func unsigned(reason string) *verdict {
	return &verdict{Trust: api.Trust{State: api.TrustUnsigned, Reason: reason}}
}

// vouched is a signed module whose manifest says what was signed.
func (t *trust) vouched(what, name, version string, v sign.Voucher) (*verdict, error) {
	if v.Name != name || v.Version != version {
		return nil, &Error{
			Code: sign.CodeDisagree, What: what, Why: fmt.Sprintf("the signed list calls it %s@%s", v.Name, v.Version),
			Hint: "whoever signed the list took it for something else: have it withdrawn",
		}
	}
	return &verdict{Trust: signed(v), voucher: &v}, nil
}

func signed(v sign.Voucher) api.Trust {
	return api.Trust{State: api.TrustSigned, Target: v.Name + "@" + v.Version, Keys: v.KeyIDs, Expires: v.Expires}
}

// refused says, for what would have run had it been signed, how an operator could let it.
func (t *trust) refused(what string, err error) error {
	var cause *sign.Error
	if !errors.As(err, &cause) {
		return err
	}
	if cause.Code != sign.CodeNotListed && cause.Code != sign.CodeNoMetadata {
		return &Error{Code: cause.Code, What: what, Why: cause.Why, Hint: cause.Hint, Err: err}
	}
	return &Error{
		Code: sign.CodeUnsigned, What: what, Why: "this node runs signed modules only (trust.require), and " + cause.Why,
		Hint: cause.Hint + ", or name the policy in trust.unsigned", Err: err,
	}
}

// whyOf is the cause of an error, without what was attempted.
func whyOf(err error) string {
	if cause := (interface{ ErrorWhy() string })(nil); errors.As(err, &cause) {
		return cause.ErrorWhy()
	}
	return err.Error()
}

func (t *trust) mayBeUnsigned(name string) bool {
	return t.config.Require == requireUnsigned || name != "" && slices.Contains(t.config.Unsigned, name)
}

func (t *trust) isInstalled(digest string) bool {
	_, ok := t.client.Installed(digest)
	return ok
}

// String is the verdict for the audit.
func (v *verdict) String() string {
	if v.State != api.TrustSigned {
		return string(v.State) + ": " + v.Reason
	}
	keys := make([]string, len(v.Keys))
	for i, id := range v.Keys {
		keys[i] = sign.ShortID(id)
	}
	return "signed by " + strings.Join(keys, ", ") + " as " + v.Target
}

// keep remembers what stood behind a module when it was accepted.
func (t *trust) keep(v *verdict) error {
	if v.voucher == nil {
		return nil
	}
	return t.client.Keep(*v.voucher)
}

// still says whether a stored module may be put in charge. That goes by its digest, which has been checked, and the voucher
// by which it came in: time does not matter. What runs goes on though it was withdrawn, visibly; nothing goes back to it.
func (t *trust) still(name, digest string, active bool) error {
	if t.client == nil {
		return nil
	}
	what := fmt.Sprintf("run %s of policy %s", digest, name)
	if reason, revoked := t.client.Revoked(digest); revoked && !active {
		return &Error{Code: sign.CodeRevoked, What: what, Why: "it was withdrawn: " + reason, Hint: "upload a later version"}
	}
	if t.isInstalled(digest) || t.mayBeUnsigned(name) {
		return nil
	}
	return &Error{
		Code: sign.CodeUnsigned, What: what, Why: "it was accepted unsigned, and this node runs signed modules only now (trust.require)",
		Hint: "have it signed, or name the policy in trust.unsigned",
	}
}

// mayGoBack refuses a rollback by a person to what was withdrawn. A target that is not there is somebody else's error.
func (p *policies) mayGoBack(ctx context.Context, record state.Policy, version string) error {
	digest, err := p.rollbackTarget(ctx, record, version)
	if err != nil {
		return nil
	}
	return p.trust.still(record.Name, digest, digest == record.Active)
}

// show is what stands behind a stored module, as people see it.
func (t *trust) show(digest string) *api.Trust {
	if t.client == nil {
		return &unsigned(noRoot).Trust
	}
	reason, revoked := t.client.Revoked(digest)
	v, installed := t.client.Installed(digest)
	out := api.Trust{State: api.TrustUnsigned, Reason: "nobody vouched for it when it was accepted"}
	if installed {
		out = signed(v)
	}
	if revoked {
		out.State, out.Reason = api.TrustRevoked, "it was withdrawn: "+reason
	}
	return &out
}

// takeIn takes in the metadata that came with a bundle. That it is older than what is known, or of others, does no harm:
// the module is judged by what is believed afterwards.
func (t *trust) takeIn(ctx context.Context, files map[string][]byte) error {
	if t.client == nil || len(files) == 0 {
		return nil
	}
	err := t.client.Update(ctx, sign.Under(sign.Files(files), sign.ImagesFolder), nil)
	if sign.Code(err) == sign.CodeRolledBack || sign.Code(err) == sign.CodeExpired {
		return nil
	}
	return err
}

// forgetVouchers drops the vouchers of modules that are not stored any more.
func (p *policies) forgetVouchers() {
	if p.trust.client == nil {
		return
	}
	err := p.trust.client.Discard(p.db.Store().Has)
	if err != nil {
		p.log.Warn("vouchers of modules that are gone stay on disk", "error", err)
	}
}
