package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/edgehold/edgehold/plugins/bundle"
)

// Bounds of the requests that are worked on, together and of one address; others are told to come again.
const (
	maxInFlight  = 16
	maxOfAddress = maxInFlight / 2
)

// handler answers for one kind of thing: name is the last part of the repository's name. What is absent is fs.ErrNotExist.
type handler func(ctx context.Context, name, target string) (reply, error)

// readOnly is a registry that nothing can be pushed to. Kinds are the words of its paths: manifests, blobs, referrers, tags.
func readOnly(kinds map[string]handler) http.Handler {
	working := &slots{of: map[string]int{}}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		free, ok := working.take(r.RemoteAddr)
		if ok {
			defer free()
		} else {
			w.Header().Set("Retry-After", "1")
			refuse(w, http.StatusTooManyRequests, "TOOMANYREQUESTS")
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			refuse(w, http.StatusMethodNotAllowed, "UNSUPPORTED")
			return
		}
		w.Header().Set("Docker-Distribution-API-Version", "registry/2.0")
		path, ok := strings.CutPrefix(r.URL.Path, "/v2/")
		if !ok {
			refuse(w, http.StatusNotFound, "NAME_UNKNOWN")
			return
		}
		if path == "" {
			answer(w, r, reply{mediaType: "application/json", content: []byte("{}")})
			return
		}
		route(w, r, path, kinds)
	})
}

func route(w http.ResponseWriter, r *http.Request, path string, kinds map[string]handler) {
	parts := strings.Split(path, "/")
	if len(parts) < 3 || !repositoryForm.MatchString(strings.Join(parts[:len(parts)-2], "/")) {
		refuse(w, http.StatusNotFound, "NAME_INVALID")
		return
	}
	name, kind, target := parts[len(parts)-3], parts[len(parts)-2], parts[len(parts)-1]
	handle, ok := kinds[kind]
	if !ok {
		refuse(w, http.StatusNotFound, "UNSUPPORTED")
		return
	}
	a, err := handle(r.Context(), name, target)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		refuse(w, http.StatusNotFound, map[string]string{"manifests": "MANIFEST_UNKNOWN", "blobs": "BLOB_UNKNOWN"}[kind])
	case err != nil:
		refuse(w, http.StatusInternalServerError, "UNKNOWN")
	default:
		answer(w, r, a)
	}
}

// reply is the content of an answer.
type reply struct {
	mediaType, digest string
	content           []byte
}

func replyOf(b bundle.Blob) reply {
	return reply{b.Descriptor.MediaType, b.Descriptor.Digest.String(), b.Content}
}

// tagList is the answer to tags/list.
func tagList(name string, tags []string) (reply, error) {
	raw, err := json.Marshal(map[string]any{"name": name, "tags": tags})
	return reply{"application/json", "", raw}, err
}

// referrerList is the answer to a question for referrers. All are listed; whoever asked filters.
func referrerList(all []ocispec.Descriptor) (reply, error) {
	raw, err := json.Marshal(ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: all})
	return reply{ocispec.MediaTypeImageIndex, "", raw}, err
}

// answer sends content, or the range of it that was asked for.
func answer(w http.ResponseWriter, r *http.Request, a reply) {
	w.Header().Set("Content-Type", a.mediaType)
	if a.digest != "" {
		w.Header().Set("Docker-Content-Digest", a.digest)
		w.Header().Set("ETag", `"`+a.digest+`"`)
	}
	http.ServeContent(newSteady(w), r, "", time.Time{}, bytes.NewReader(a.content))
}

// refuse sends an error in the form of the distribution specification, "Error codes".
func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"errors": []map[string]string{{"code": code, "message": http.StatusText(status)}}})
}
