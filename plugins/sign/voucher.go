package sign

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/edgehold/edgehold/plugins/store"
)

// Voucher is the word of the image repository for one module, as it stood when the module was judged.
type Voucher struct {
	Digest  string `json:"digest"`
	Length  int64  `json:"length"`
	Name    string `json:"name"`
	Version string `json:"version"`
	Kind    string `json:"kind,omitempty"`

	KeyIDs   []string         `json:"key_ids"`  // that signed the list it stands in
	Metadata MetadataVersions `json:"metadata"` // it was judged by
	Expires  time.Time        `json:"expires"`  // when that metadata does
	Judged   time.Time        `json:"judged"`   // by the best guess of the time
}

// MetadataVersions are the version counters of a repository; 0 is none.
type MetadataVersions struct {
	Root      int64 `json:"root"`
	Targets   int64 `json:"targets"`
	Snapshot  int64 `json:"snapshot"`
	Timestamp int64 `json:"timestamp"`
}

// Verify judges a module that is new to this node, by its digest and length. It refuses when the metadata has expired, when
// the module was withdrawn, and when it was never vouched for.
func (c *Client) Verify(digest string, length int64) (Voucher, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	v, err := c.lookup(digest)
	if err != nil {
		return v, err
	}
	if v.Length != length {
		return v, &Error{Code: CodeDigestMismatch, What: "verify module " + digest, Why: fmt.Sprintf("it has %d bytes, %d were signed", length, v.Length), Hint: "fetch it again, from another source"}
	}
	return v, c.expired(c.images)
}

// Listed finds what the newest metadata says of a module, expired or not.
func (c *Client) Listed(digest string) (Voucher, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.lookup(digest)
}

func (c *Client) lookup(digest string) (Voucher, error) {
	what := "verify module " + digest
	if c.images.targets == nil {
		return Voucher{}, &Error{Code: CodeNoMetadata, What: what, Why: "this node has received no signed list of modules yet", Hint: "upload a bundle that carries it, or configure trust.source"}
	}
	if reason, ok := c.revoked(digest); ok {
		return Voucher{}, &Error{Code: CodeRevoked, What: what, Why: "it was withdrawn: " + reason, Hint: "use a later version"}
	}
	if t := c.images.targets[digest]; t != nil {
		return c.voucher(t, digest)
	}
	return Voucher{}, &Error{
		Code: CodeNotListed, What: what, Why: fmt.Sprintf("it is not among the %d modules of the signed list, version %d", len(c.images.targets), c.images.versions().Targets),
		Hint: "add it with `edgehold trust add` and publish",
	}
}

func (c *Client) voucher(t *metadata.TargetFiles, digest string) (Voucher, error) {
	d, err := custom(t)
	now, _ := c.clock.time()
	return Voucher{
		Digest: digest, Length: t.Length, Name: d.Name, Version: d.Version, Kind: d.Kind,
		KeyIDs: c.images.signedBy, Metadata: c.images.versions(), Expires: c.images.expires(), Judged: now,
	}, err
}

func (c *Client) revoked(digest string) (reason string, ok bool) {
	for _, d := range c.images.documents {
		if d.role == Targets {
			reason, ok = d.label.Revoked[digest]
		}
	}
	return reason, ok
}

// Revoked reports whether the newest metadata withdraws a module, and why.
func (c *Client) Revoked(digest string) (reason string, ok bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.revoked(digest)
}

func (l *line) versions() (v MetadataVersions) {
	for _, d := range l.documents {
		*map[string]*int64{Root: &v.Root, Targets: &v.Targets, Snapshot: &v.Snapshot, Timestamp: &v.Timestamp}[d.role] = d.version
	}
	return v
}

// expires is when the first of the documents does.
func (l *line) expires() (first time.Time) {
	for _, d := range l.documents {
		if first.IsZero() || d.expires.Before(first) {
			first = d.expires
		}
	}
	return first
}

const vouchersFolder = "vouchers"

// Keep stores the voucher of a module that was installed, so that it goes on when metadata expires or is lost.
func (c *Client) Keep(v Voucher) error {
	path, err := c.voucherPath(v.Digest)
	if err != nil {
		return err
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := store.ReplaceFile(path, raw, 0o600); err != nil {
		return stateError("keep the voucher of "+v.Digest, err)
	}
	return nil
}

// Installed returns the voucher by which a module was accepted, whatever has expired since; where its file is lost, what
// the metadata says now will do. found is false for modules that were never vouched for.
func (c *Client) Installed(digest string) (v Voucher, found bool) {
	path, err := c.voucherPath(digest)
	if err != nil {
		return v, false
	}
	raw, err := os.ReadFile(path)
	if err == nil && json.Unmarshal(raw, &v) == nil && v.Digest == digest {
		return v, true
	}
	v, err = c.Listed(digest)
	return v, err == nil
}

// Discard forgets the vouchers of modules that are not kept any more.
func (c *Client) Discard(kept func(digest string) bool) error {
	dir := filepath.Join(c.dir, vouchersFolder)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return stateError("clear away vouchers", err)
	}
	var errs []error
	for _, e := range entries {
		digest, ok := strings.CutSuffix(e.Name(), ".json")
		if ok && kept(strings.Replace(digest, "-", ":", 1)) {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (c *Client) voucherPath(digest string) (string, error) {
	name, err := moduleFile(digest)
	return filepath.Join(c.dir, vouchersFolder, strings.TrimSuffix(name, ".wasm")+".json"), err
}
