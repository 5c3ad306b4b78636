package registry

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"
)

// Scheme says what kind of place a reference names.
type Scheme string

// The kinds of places.
const (
	OCI    Scheme = "oci" // an OCI registry, over HTTPS or, where that is allowed, HTTP
	Folder Scheme = "dir" // a folder in the form of an OCI image layout
)

// Reference names an artefact: oci://HOST[:PORT]/REPOSITORY[:TAG][@DIGEST], or dir:PATH[:TAG][@DIGEST]. The digest is that
// of the manifest; when it is given, the tag is for people.
type Reference struct {
	Scheme     Scheme
	Host       string // with its port, if it has one; only of a registry
	Repository string // only of a registry
	Path       string // only of a folder
	Tag        string
	Digest     string
}

// The grammars of the distribution specification, version 1.1, "Pulling manifests".
var (
	repositoryForm = regexp.MustCompile(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagForm        = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)
	digestForm     = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	hostForm       = regexp.MustCompile(`^(\[[0-9a-fA-F:.]+\]|[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?)(:[0-9]{1,5})?$`)
)

const maxReferenceBytes = 1024

// IsReference reports whether an argument means a reference rather than a file.
func IsReference(s string) bool {
	return strings.HasPrefix(s, string(OCI)+"://") || strings.HasPrefix(s, string(Folder)+":")
}

// Parse reads a reference.
func Parse(s string) (Reference, error) {
	bad := func(why string) (Reference, error) {
		return Reference{}, &Error{Code: CodeReference, What: fmt.Sprintf("read the reference %q", clip(s)), Why: why,
			Hint: "write oci://host/repository:tag, or dir:folder:tag"}
	}
	if len(s) > maxReferenceBytes || strings.ContainsAny(s, "\x00\n\r") {
		return bad("it is too long, or has characters that no reference has")
	}
	rest, digest, pinned := strings.Cut(s, "@")
	if pinned && !digestForm.MatchString(digest) {
		return bad("what follows the @ is no SHA-256 digest")
	}
	r := Reference{Digest: digest}
	switch {
	case strings.HasPrefix(rest, "oci://"):
		r.Scheme = OCI
		var path string
		r.Host, path, _ = strings.Cut(strings.TrimPrefix(rest, "oci://"), "/")
		r.Repository, r.Tag, _ = strings.Cut(path, ":")
		if !hostForm.MatchString(r.Host) || len(r.Repository) > 255 || !repositoryForm.MatchString(r.Repository) {
			return bad("it has no valid host, or no valid repository (lower-case letters, digits, and . _ - / between them)")
		}
	case strings.HasPrefix(rest, "dir:"):
		r.Scheme, r.Path = Folder, strings.TrimPrefix(rest, "dir:")
		if i := strings.LastIndexByte(r.Path, ':'); i > strings.LastIndexByte(r.Path, filepath.Separator) {
			r.Path, r.Tag = r.Path[:i], r.Path[i+1:]
		}
		if r.Path == "" || strings.Contains(filepath.Base(r.Path), ":") {
			return bad("it names no folder, or one with a colon in its name")
		}
	default:
		return bad("it begins neither with oci:// nor with dir:")
	}
	if strings.HasSuffix(rest, ":") || r.Tag != "" && !tagForm.MatchString(r.Tag) {
		return bad("its tag has other characters than letters, digits, . _ and -, or too many")
	}
	return r, nil
}

// String writes the reference as Parse reads it.
func (r Reference) String() string {
	s := "oci://" + r.Host + "/" + r.Repository
	if r.Scheme == Folder {
		s = "dir:" + r.Path
	}
	if r.Tag != "" {
		s += ":" + r.Tag
	}
	if r.Digest != "" {
		s += "@" + r.Digest
	}
	return s
}

// WithTag is the reference to another tag of the same place.
func (r Reference) WithTag(tag string) Reference {
	r.Tag, r.Digest = tag, ""
	return r
}

// Below is the place of what is called name in a place that holds several: a repository below the repository, a folder in
// the folder.
func (r Reference) Below(name string) Reference {
	r = r.WithTag("")
	if r.Scheme == Folder {
		r.Path = filepath.Join(r.Path, name)
		return r
	}
	r.Repository += "/" + name
	return r
}

// target is what a registry is asked for.
func (r Reference) target() (string, error) {
	switch {
	case r.Digest != "":
		return r.Digest, nil
	case r.Tag != "":
		return r.Tag, nil
	}
	return "", &Error{Code: CodeReference, What: "use the reference " + r.String(), Why: "it has neither a tag nor a digest",
		Hint: "add :VERSION; see what there is with `edgehold registry list`"}
}

// isLoopback reports whether a host is this machine for certain: by its address, or as localhost.
func isLoopback(host string) bool {
	name := host
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		name = host[:i]
	}
	name = strings.Trim(name, "[]")
	if strings.EqualFold(name, "localhost") {
		return true
	}
	address, err := netip.ParseAddr(name)
	return err == nil && address.Unmap().IsLoopback()
}
