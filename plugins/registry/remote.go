package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/edgehold/edgehold/plugins/bundle"
)

// Bounds of lists.
const (
	maxPages     = 50
	maxListBytes = 4 << 20
	maxTags      = 10_000
	maxReferrers = 256
)

// repository is a repository of a registry.
type repository struct {
	repo *remote.Repository
	host string
}

func (c *Client) repository(host, name string) (*repository, error) {
	repo, err := remote.NewRepository(host + "/" + name)
	if err != nil {
		return nil, &Error{Code: CodeReference, What: "use the repository " + host + "/" + name, Why: err.Error(), Hint: "write oci://host/repository:tag", Err: err}
	}
	repo.Client = c.auth
	repo.PlainHTTP = c.config.plain(host)
	repo.ManifestMediaTypes = bundle.ManifestTypes
	repo.MaxMetadataBytes, repo.TagListMaxPages, repo.ReferrerListMaxPages = maxListBytes, maxPages, maxPages
	repo.SkipReferrersGC = true // registries without the referrers API mostly refuse to delete, and the index before costs little
	return &repository{repo, repo.Reference.Host()}, nil
}

func (r *repository) name() string { return r.host }

func (r *repository) manifest(ctx context.Context, target string) (ocispec.Descriptor, []byte, error) {
	d, body, err := r.repo.Manifests().FetchReference(toRegistry(ctx, r.host), target)
	if err != nil {
		return d, nil, err
	}
	defer func() { _ = body.Close() }()
	if d.Size > bundle.MaxManifestBytes {
		return d, nil, &Error{Code: CodeMismatch, What: "read the manifest of " + target, Why: fmt.Sprintf("it has %d bytes", d.Size), Hint: "that is no artefact of ours"}
	}
	raw, err := content.ReadAll(body, d) // checks length and digest
	if errors.Is(err, content.ErrMismatchedDigest) || errors.Is(err, content.ErrTrailingData) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = lied("the manifest of "+target, err.Error())
	}
	return d, raw, err
}

func lied(about, why string) error {
	return &Error{Code: CodeMismatch, What: "fetch " + about, Why: why,
		Hint: "the registry sends other bytes than it announces: fetch from a source that you trust"}
}

// blob asks for the rest of a blob with a range (RFC 9110, section 14), which a registry may ignore.
func (r *repository) blob(ctx context.Context, d ocispec.Descriptor, offset int64) (io.ReadCloser, int64, error) {
	ref := r.repo.Reference
	ref.Reference = d.Digest.String()
	ctx = auth.AppendRepositoryScope(toRegistry(ctx, r.host), ref, auth.ActionPull)
	url := fmt.Sprintf("%s://%s/v2/%s/blobs/%s", r.scheme(), ref.Host(), ref.Repository, d.Digest)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, 0, err
	}
	if offset > 0 {
		request.Header.Set("Range", "bytes="+strconv.FormatInt(offset, 10)+"-")
	}
	response, err := r.repo.Client.Do(request)
	if err != nil {
		return nil, 0, err
	}
	start, err := startOf(response, d, offset)
	if err != nil {
		_ = response.Body.Close()
		return nil, 0, err
	}
	return response.Body, start, nil
}

func (r *repository) scheme() string {
	if r.repo.PlainHTTP {
		return "http"
	}
	return "https"
}

// startOf tells at which offset an answer begins, and refuses one whose length is known to be wrong.
func startOf(response *http.Response, d ocispec.Descriptor, offset int64) (int64, error) {
	length := response.ContentLength // -1: unknown
	switch response.StatusCode {
	case http.StatusOK:
		if length >= 0 && length != d.Size {
			return 0, lied(d.Digest.String(), fmt.Sprintf("%d bytes were announced, %d are sent", d.Size, length))
		}
		return 0, nil
	case http.StatusPartialContent:
		want := fmt.Sprintf("bytes %d-%d/", offset, d.Size-1)
		if got := response.Header.Get("Content-Range"); offset == 0 || !strings.HasPrefix(got, want) || length >= 0 && length != d.Size-offset {
			return 0, lied(d.Digest.String(), fmt.Sprintf("the rest from byte %d was asked for, %q is sent", offset, clip(got)))
		}
		return offset, nil
	case http.StatusNotFound:
		return 0, fmt.Errorf("%s: %w", d.Digest, errdef.ErrNotFound)
	}
	return 0, &statusError{response.StatusCode, response.Request.URL.Host}
}

// statusError is an answer that is no answer.
type statusError struct {
	status int
	host   string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("%s answers %d %s", e.host, e.status, http.StatusText(e.status))
}

func (r *repository) referrers(ctx context.Context, d ocispec.Descriptor, artifactType string) (all []ocispec.Descriptor, err error) {
	err = r.repo.Referrers(toRegistry(ctx, r.host), d, artifactType, func(page []ocispec.Descriptor) error {
		all = append(all, page[:min(len(page), maxReferrers-len(all))]...)
		return nil
	})
	return all, err
}

func (r *repository) tags(ctx context.Context) (all []string, err error) {
	err = r.repo.Tags(toRegistry(ctx, r.host), "", func(page []string) error {
		for _, tag := range page {
			if len(all) < maxTags && tagForm.MatchString(tag) {
				all = append(all, tag)
			}
		}
		return nil
	})
	return all, err
}

func (r *repository) put(ctx context.Context, i bundle.Image, tag string) error {
	ctx = toRegistry(ctx, r.host)
	for _, b := range i.Blobs {
		if there, err := r.repo.Blobs().Exists(ctx, b.Descriptor); err == nil && there {
			continue
		}
		if err := r.repo.Blobs().Push(ctx, b.Descriptor, bytes.NewReader(b.Content)); err != nil {
			return err
		}
	}
	m := i.Manifest
	if tag == "" {
		return r.repo.Manifests().Push(ctx, m.Descriptor, bytes.NewReader(m.Content))
	}
	return r.repo.Manifests().PushReference(ctx, m.Descriptor, bytes.NewReader(m.Content), tag)
}
