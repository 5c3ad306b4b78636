package trust

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/node/fault"
	"github.com/edgehold/edgehold/plugins/sign"
	"github.com/edgehold/edgehold/wasmabi"
)

// Config says what a node believes.
type Config struct {
	Pin         []byte   // what trust begins with; without, everything is unsigned
	Signed      bool     // only signed modules may run,
	Unsigned    []string // but for the policies named here
	IgnoreClock bool     // signatures and uptime say what time it is
	Node        string   // what the director calls this node; empty: it is not followed
}

// Judge says whose modules may run here.
type Judge struct {
	config Config
	client *sign.Client // nil without a pin
}

// Open opens what this node believes. folder is the one of its state.
func Open(c Config, folder string) (*Judge, error) {
	if len(c.Pin) == 0 {
		return &Judge{config: c}, nil
	}
	client, err := sign.Open(folder, c.Pin, sign.Options{IgnoreClock: c.IgnoreClock, Node: c.Node})
	if err != nil {
		return nil, err
	}
	return &Judge{config: c, client: client}, nil
}

// Verdict is what stands behind a module that is new here.
type Verdict struct {
	api.Trust
	voucher *sign.Voucher // of a signed one
}

// Admit says whether a module may come in, before any of its code does anything.
func (j *Judge) Admit(raw []byte, digest string) (*Verdict, error) {
	name, version := "", ""
	if m, err := wasmabi.ReadManifest(raw); err == nil { // what is no module is refused later, with better words
		name, version = m.Name, m.Version
	}
	what := "verify " + subject(name, version, digest)
	if j.client == nil {
		return unsigned(noRoot), nil
	}
	v, err := j.client.Verify(digest, int64(len(raw)))
	switch {
	case err == nil:
		return j.vouched(what, name, version, v)
	case sign.Code(err) == sign.CodeExpired && j.isInstalled(digest):
		return j.vouched(what, name, version, v)
	case sign.Code(err) == sign.CodeRevoked || !j.mayBeUnsigned(name):
		return nil, j.refused(what, err)
	}
	return unsigned(fault.Why(err)), nil
}

func subject(name, version, digest string) string {
	if name == "" {
		return digest
	}
	return name + "@" + version
}

const noRoot = "this node has no root of trust"

func unsigned(reason string) *Verdict {
	return &Verdict{Trust: api.Trust{State: api.TrustUnsigned, Reason: reason}}
}

// vouched is a signed module whose manifest says what was signed.
func (j *Judge) vouched(what, name, version string, v sign.Voucher) (*Verdict, error) {
	if v.Name != name || v.Version != version {
		return nil, &fault.Error{
			Code: sign.CodeDisagree, What: what, Why: fmt.Sprintf("the signed list calls it %s@%s", v.Name, v.Version),
			Hint: "whoever signed the list took it for something else: have it withdrawn",
		}
	}
	return &Verdict{Trust: signed(v), voucher: &v}, nil
}

func signed(v sign.Voucher) api.Trust {
	return api.Trust{State: api.TrustSigned, Target: v.Name + "@" + v.Version, Keys: v.KeyIDs, Expires: v.Expires}
}

// refused says, for what would have run had it been signed, how an operator could let it.
func (j *Judge) refused(what string, err error) error {
	var cause *sign.Error
	if !errors.As(err, &cause) {
		return err
	}
	if cause.Code != sign.CodeNotListed && cause.Code != sign.CodeNoMetadata {
		return &fault.Error{Code: cause.Code, What: what, Why: cause.Why, Hint: cause.Hint, Err: err}
	}
	return &fault.Error{
		Code: sign.CodeUnsigned, What: what, Why: "this node runs signed modules only (trust.require), and " + cause.Why,
		Hint: cause.Hint + ", or name the policy in trust.unsigned", Err: err,
	}
}

func (j *Judge) mayBeUnsigned(name string) bool {
	return !j.config.Signed || name != "" && slices.Contains(j.config.Unsigned, name)
}

func (j *Judge) isInstalled(digest string) bool {
	_, ok := j.client.Installed(digest)
	return ok
}

// String is the verdict for the audit.
func (v *Verdict) String() string {
	if v.State != api.TrustSigned {
		return string(v.State) + ": " + v.Reason
	}
	keys := make([]string, len(v.Keys))
	for i, id := range v.Keys {
		keys[i] = sign.ShortID(id)
	}
	return "signed by " + strings.Join(keys, ", ") + " as " + v.Target
}

// Keep remembers what stood behind a module when it was accepted.
func (j *Judge) Keep(v *Verdict) error {
	if v.voucher == nil {
		return nil
	}
	return j.client.Keep(*v.voucher)
}

// Still says whether a stored module may be put in charge. That goes by its digest, which has been checked, and the voucher
// by which it came in: time does not matter. What runs goes on though it was withdrawn, visibly; nothing goes back to it.
func (j *Judge) Still(name, digest string, active bool) error {
	if j.client == nil {
		return nil
	}
	what := fmt.Sprintf("run %s of policy %s", digest, name)
	if reason, revoked := j.client.Revoked(digest); revoked && !active {
		return &fault.Error{Code: sign.CodeRevoked, What: what, Why: "it was withdrawn: " + reason, Hint: "upload a later version"}
	}
	if j.isInstalled(digest) || j.mayBeUnsigned(name) {
		return nil
	}
	return &fault.Error{
		Code: sign.CodeUnsigned, What: what, Why: "it was accepted unsigned, and this node runs signed modules only now (trust.require)",
		Hint: "have it signed, or name the policy in trust.unsigned",
	}
}

// Show is what stands behind a stored module, as people see it.
func (j *Judge) Show(digest string) *api.Trust {
	if j.client == nil {
		return &unsigned(noRoot).Trust
	}
	reason, revoked := j.client.Revoked(digest)
	v, installed := j.client.Installed(digest)
	out := api.Trust{State: api.TrustUnsigned, Reason: "nobody vouched for it when it was accepted"}
	if installed {
		out = signed(v)
	}
	if revoked {
		out.State, out.Reason = api.TrustRevoked, "it was withdrawn: "+reason
	}
	return &out
}

// TakeIn takes in the metadata that came with a bundle. That it is older than what is known, or of others, does no harm:
// the module is judged by what is believed afterwards.
func (j *Judge) TakeIn(ctx context.Context, files map[string][]byte) error {
	if j.client == nil || len(files) == 0 {
		return nil
	}
	err := j.client.Update(ctx, sign.Under(sign.Files(files), sign.ImagesFolder), nil)
	if sign.Code(err) == sign.CodeRolledBack || sign.Code(err) == sign.CodeExpired {
		return nil
	}
	return err
}

// Learn takes in the metadata that lies beside a module, if there is any. The module is judged by what is believed then.
func (j *Judge) Learn(ctx context.Context, beside sign.Source) error {
	if j.client == nil {
		return nil
	}
	err := j.client.Update(ctx, sign.Under(beside, sign.ImagesFolder), nil)
	if errors.Is(err, fs.ErrNotExist) || sign.Code(err) == sign.CodeRolledBack || sign.Code(err) == sign.CodeExpired {
		return nil
	}
	return err
}

// Files is the metadata that this node believes, to hand on; none without a pin.
func (j *Judge) Files() map[string][]byte {
	if j.client == nil {
		return nil
	}
	return j.client.Files()
}

// Discard drops the vouchers of modules that are not stored any more.
func (j *Judge) Discard(stored func(digest string) bool) error {
	if j.client == nil {
		return nil
	}
	return j.client.Discard(stored)
}
