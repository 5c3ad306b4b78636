package registry

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/edgehold/edgehold/plugins/bundle"
	"github.com/edgehold/edgehold/plugins/store"
)

// villain is a registry of one artefact that a test can make lie.
type villain struct {
	*httptest.Server
	image     bundle.Image
	manifest  http.HandlerFunc // nil: honest
	blob      http.HandlerFunc
	referrers http.HandlerFunc
	tags      http.HandlerFunc
	blobs     atomic.Int64 // requests for blobs
}

func newVillain(t *testing.T, i bundle.Image) *villain {
	v := &villain{image: i}
	mux := http.NewServeMux()
	part := func(handler *http.HandlerFunc, honest http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if *handler != nil {
				(*handler)(w, r)
				return
			}
			honest(w, r)
		}
	}
	mux.HandleFunc("GET /v2/p/manifests/{target}", part(&v.manifest, v.honestManifest))
	mux.HandleFunc("GET /v2/p/blobs/{digest}", func(w http.ResponseWriter, r *http.Request) {
		v.blobs.Add(1)
		part(&v.blob, v.honestBlob)(w, r)
	})
	mux.HandleFunc("GET /v2/p/referrers/{digest}", part(&v.referrers, http.NotFound))
	mux.HandleFunc("GET /v2/p/tags/list", part(&v.tags, http.NotFound))
	v.Server = httptest.NewServer(mux)
	t.Cleanup(v.Close)
	return v
}

func (v *villain) host() string { return strings.SplitN(v.URL, "//", 2)[1] }

func (v *villain) honestManifest(w http.ResponseWriter, r *http.Request) {
	if target := r.PathValue("target"); target != "1" && target != v.image.Manifest.Descriptor.Digest.String() {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
	_, _ = w.Write(v.image.Manifest.Content)
}

func (v *villain) find(r *http.Request) []byte {
	for _, b := range v.image.Blobs {
		if b.Descriptor.Digest.String() == r.PathValue("digest") {
			return b.Content
		}
	}
	return nil
}

func (v *villain) honestBlob(w http.ResponseWriter, r *http.Request) {
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(v.find(r)))
}

func artefact(t *testing.T, m []byte) bundle.Image {
	t.Helper()
	i, err := bundle.Artefact(m)
	must(t, err)
	return i
}

func (v *villain) pull(t *testing.T, c Config, into *store.Store, have ...string) (Pulled, error) {
	t.Helper()
	if c.Stall == 0 {
		c.Stall = 10 * time.Second
	}
	return client(t, c).Pull(t.Context(), ref(t, "oci://%s/p:1", v.host()), into, have...)
}

// drip serves at most n bytes of what is asked for, then hangs up.
func (v *villain) drip(n int64) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		content := v.find(r)
		var from int64
		_, _ = fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from)
		if from > 0 {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(content)-1, len(content)))
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(content)-int(from)))
		if from > 0 {
			w.WriteHeader(http.StatusPartialContent)
		}
		_, _ = w.Write(content[from:min(from+n, int64(len(content)))])
		panic(http.ErrAbortHandler)
	}
}

func TestBrokenTransfersGoOn(t *testing.T) {
	m := module(t, "1", 100_000)
	v := newVillain(t, artefact(t, m))
	v.blob = v.drip(30_000)
	s := newStore(t)
	pulled, err := v.pull(t, Config{Attempts: 2}, s)
	must(t, err)
	if pulled.Received != int64(len(m)) || v.blobs.Load() != 4 {
		t.Errorf("%d bytes in %d requests, want %d in 4", pulled.Received, v.blobs.Load(), len(m))
	}
}

func TestWhatHasComeIsKept(t *testing.T) {
	m := module(t, "1", 100_000)
	v := newVillain(t, artefact(t, m))
	v.blob = v.drip(40_000)
	s := newStore(t)
	if _, err := v.pull(t, Config{Attempts: 1}, s); err == nil {
		t.Fatal("a transfer that broke succeeded")
	}
	v.blob = nil
	pulled, err := v.pull(t, Config{}, s)
	must(t, err)
	if pulled.Received != int64(len(m))-40_000 {
		t.Errorf("%d bytes came the second time", pulled.Received)
	}
}

func TestRegistryWithoutRanges(t *testing.T) {
	m := module(t, "1", 100_000)
	v := newVillain(t, artefact(t, m))
	drip := v.drip(40_000)
	v.blob = func(w http.ResponseWriter, r *http.Request) {
		ranged := r.Header.Get("Range") != ""
		r.Header.Del("Range")
		if !ranged {
			drip(w, r)
		}
		v.honestBlob(w, r)
	}
	pulled, err := v.pull(t, Config{}, newStore(t))
	must(t, err)
	if pulled.Received != int64(len(m))+40_000 {
		t.Errorf("%d bytes came", pulled.Received)
	}
}

func TestStalls(t *testing.T) {
	m := module(t, "1", 100_000)
	v := newVillain(t, artefact(t, m))
	first := atomic.Bool{}
	v.blob = func(w http.ResponseWriter, r *http.Request) {
		if first.Swap(true) {
			v.honestBlob(w, r)
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(m)))
		_, _ = w.Write(m[:50_000])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
	pulled, err := v.pull(t, Config{Stall: time.Second}, newStore(t))
	must(t, err)
	if pulled.Received != int64(len(m)) {
		t.Errorf("%d bytes came: it went on, and not from the beginning", pulled.Received)
	}

	for name, where := range map[string]*http.HandlerFunc{"manifest": &v.manifest, "blob": &v.blob} {
		v.manifest, v.blob = nil, nil
		*where = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
			w.Header().Set("Content-Length", map[string]string{"manifest": "700", "blob": strconv.Itoa(len(m))}[name])
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}
		if _, err := v.pull(t, Config{Stall: 100 * time.Millisecond, Attempts: 2}, newStore(t)); code(err) != CodeStalled {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLies(t *testing.T) {
	m := module(t, "1", 50_000)
	other := module(t, "2", 50_000)
	for _, tt := range []struct {
		name string
		lie  func(v *villain)
		code string
	}{
		{"other bytes", func(v *villain) { v.blob = serve(other) }, "store.mismatch"},
		{"shorter, and says so", func(v *villain) { v.blob = serve(m[:1000]) }, CodeMismatch},
		{"endless", func(v *villain) {
			v.blob = func(w http.ResponseWriter, r *http.Request) {
				for r.Context().Err() == nil {
					_, _ = w.Write(m)
				}
			}
		}, "store.mismatch"},
		{"empty and fine", func(v *villain) { v.blob = func(http.ResponseWriter, *http.Request) {} }, CodeMismatch},
		{"another range", func(v *villain) {
			drip := v.drip(20_000)
			v.blob = func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Range") == "" {
					drip(w, r)
				}
				w.Header().Set("Content-Range", "bytes 0-9/10")
				w.WriteHeader(http.StatusPartialContent)
				_, _ = w.Write(m[:10])
			}
		}, CodeMismatch},
		{"not there", func(v *villain) { v.blob = http.NotFound }, CodeNotFound},
		{"forbidden", func(v *villain) { v.manifest = status(http.StatusForbidden) }, CodeDenied},
		{"always down", func(v *villain) { v.blob = status(http.StatusServiceUnavailable) }, CodeFailed},
		{"endless manifest", func(v *villain) {
			v.manifest = func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
				w.Header().Set("Docker-Content-Digest", v.image.Manifest.Descriptor.Digest.String())
				for r.Context().Err() == nil && r.Method != http.MethodHead {
					_, _ = w.Write(bytes.Repeat([]byte(" "), 1<<16))
				}
			}
		}, CodeFailed},
		{"manifest of another digest", func(v *villain) {
			v.manifest = func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
				w.Header().Set("Docker-Content-Digest", digest.FromBytes(other).String())
				_, _ = w.Write(v.image.Manifest.Content)
			}
		}, CodeMismatch},
		{"a page in place of a manifest", func(v *villain) {
			v.manifest = func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "<html>please log in</html>") }
		}, bundle.CodeForm},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := newVillain(t, artefact(t, m))
			tt.lie(v)
			s := newStore(t)
			if _, err := v.pull(t, Config{Attempts: 2}, s); code(err) != tt.code {
				t.Errorf("got %s: %v", code(err), err)
			}
			if all, err := s.List(); err != nil || len(all) != 0 {
				t.Errorf("stored %v, %v", all, err)
			}
		})
	}
}

func serve(content []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(content) }
}

func status(n int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(n) }
}

// image makes an image of any layers.
func image(t *testing.T, mediaType string, layers ...bundle.Blob) bundle.Image {
	t.Helper()
	m := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: mediaType, Config: ocispec.DescriptorEmptyJSON}
	for _, l := range layers {
		m.Layers = append(m.Layers, l.Descriptor)
	}
	raw, err := json.Marshal(m)
	must(t, err)
	return bundle.Image{Manifest: bundle.Blob{Descriptor: ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(raw), Size: int64(len(raw))}, Content: raw}, Blobs: layers}
}

func layer(mediaType string, content []byte) bundle.Blob {
	return bundle.Blob{Descriptor: ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(content), Size: int64(len(content))}, Content: content}
}

func TestFormsInUse(t *testing.T) {
	m := module(t, "1", 10_000)
	archive := tarGzip(t, map[string][]byte{"plugin.wasm": m})
	for _, l := range []bundle.Blob{
		layer("application/wasm", m), layer("application/vnd.wasm.content.layer.v1+wasm", m), layer("application/vnd.module.wasm.content.layer.v1+wasm", m),
		layer("application/vnd.oci.image.layer.v1.tar+gzip", archive), layer("application/vnd.docker.image.rootfs.diff.tar.gzip", archive),
	} {
		t.Run(l.Descriptor.MediaType, func(t *testing.T) {
			s := newStore(t)
			pulled, err := newVillain(t, image(t, ocispec.MediaTypeImageManifest, l)).pull(t, Config{}, s)
			must(t, err)
			if got, err := s.Read(pulled.Digest); err != nil || !bytes.Equal(got, m) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
}

func tarGzip(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for name, content := range files {
		must(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(content)), Mode: 0o644}))
		_, err := w.Write(content)
		must(t, err)
	}
	must(t, w.Close())
	must(t, z.Close())
	return b.Bytes()
}

func TestFormsThatAreRefused(t *testing.T) {
	m := module(t, "1", 1000)
	huge := layer("application/wasm", m)
	huge.Descriptor.Size = 1 << 40
	sha512 := layer("application/wasm", m)
	sha512.Descriptor.Digest = digest.SHA512.FromBytes(m)
	negative := layer("application/wasm", m)
	negative.Descriptor.Size = -1
	for _, tt := range []struct {
		name   string
		layers []bundle.Blob
		code   string
	}{
		{"two layers", []bundle.Blob{layer("application/wasm", m), layer("application/wasm", m)}, bundle.CodeForm},
		{"no layer", nil, bundle.CodeForm},
		{"another type", []bundle.Blob{layer("text/html", m)}, bundle.CodeForm},
		{"a component's type that we do not run", []bundle.Blob{layer("application/vnd.bytecodealliance.wasm.component.layer.v0+wasm", m)}, bundle.CodeForm},
		{"announced too large", []bundle.Blob{huge}, bundle.CodeTooLarge},
		{"announced negative", []bundle.Blob{negative}, bundle.CodeForm},
		{"another hash", []bundle.Blob{sha512}, bundle.CodeForm},
		{"a bomb", []bundle.Blob{layer(ocispec.MediaTypeImageLayerGzip, tarGzip(t, map[string][]byte{"plugin.wasm": make([]byte, 3*bundle.MaxModuleBytes)}))}, bundle.CodeTooLarge},
		{"two modules", []bundle.Blob{layer(ocispec.MediaTypeImageLayerGzip, tarGzip(t, map[string][]byte{"a.wasm": m, "b.wasm": m}))}, bundle.CodeForm},
		{"an archive without module", []bundle.Blob{layer(ocispec.MediaTypeImageLayerGzip, tarGzip(t, map[string][]byte{"etc/passwd": m}))}, bundle.CodeForm},
		{"no archive", []bundle.Blob{layer(ocispec.MediaTypeImageLayerGzip, m)}, bundle.CodeForm},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := newVillain(t, image(t, ocispec.MediaTypeImageManifest, tt.layers...))
			if _, err := v.pull(t, Config{}, newStore(t)); code(err) != tt.code {
				t.Errorf("got %s: %v", code(err), err)
			}
			if strings.HasPrefix(tt.name, "announced") && v.blobs.Load() > 0 {
				t.Error("it was fetched all the same")
			}
		})
	}
}

func TestDeltasThatLie(t *testing.T) {
	base, m := module(t, "1", 50_000), module(t, "2", 50_000)
	v := newVillain(t, artefact(t, m))
	honest, err := bundle.Delta(v.image.Manifest.Descriptor, store.Digest(base), store.Digest(m), []byte("not zstd at all"))
	must(t, err)
	v.image.Blobs = append(v.image.Blobs, honest.Blobs...)
	v.referrers = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
		w.Header().Set("OCI-Filters-Applied", "artifactType")
		d := honest.Manifest.Descriptor
		must(t, json.NewEncoder(w).Encode(ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{d, d, d, d}}))
	}
	v.manifest = func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("target") == honest.Manifest.Descriptor.Digest.String() {
			w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
			_, _ = w.Write(honest.Manifest.Content)
			return
		}
		v.honestManifest(w, r)
	}
	s := newStore(t)
	digest, err := s.Put(t.Context(), base)
	must(t, err)
	pulled, err := v.pull(t, Config{}, s, digest)
	must(t, err)
	if pulled.Way != Whole || pulled.Digest != store.Digest(m) || pulled.Received <= int64(len(m)) {
		t.Errorf("%+v: the delta was not tried, or believed", pulled)
	}
}

func TestEndlessTags(t *testing.T) {
	v := newVillain(t, artefact(t, module(t, "1", 10)))
	var pages atomic.Int64
	v.tags = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", fmt.Sprintf(`</v2/p/tags/list?n=1&last=%d>; rel="next"`, pages.Add(1)))
		_, _ = fmt.Fprintf(w, `{"name":"p","tags":["t%d","\u001b[31m"]}`, pages.Load())
	}
	all, err := client(t, Config{}).Tags(t.Context(), ref(t, "oci://%s/p", v.host()))
	if err == nil || pages.Load() > maxPages+1 {
		t.Errorf("%d tags in %d pages, %v", len(all), pages.Load(), err)
	}
}

func TestRedirects(t *testing.T) {
	m := module(t, "1", 10_000)
	var seen atomic.Value // the authorization that arrived elsewhere
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.Store(r.Header.Get("Authorization"))
		_, _ = w.Write(m)
	}))
	defer elsewhere.Close()
	v := newVillain(t, artefact(t, m))
	ask := func(next http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if _, _, ok := r.BasicAuth(); !ok {
				w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			next(w, r)
		}
	}
	v.manifest = ask(v.honestManifest)
	v.blob = ask(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL+"/content", http.StatusTemporaryRedirect)
	})
	login := Config{Logins: map[string]Login{v.host(): {"ann", "secret"}}}
	_, err := v.pull(t, login, newStore(t))
	must(t, err)
	if seen.Load() != "" {
		t.Errorf("credentials went elsewhere: %v", seen.Load())
	}

	v.blob = ask(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.String(), http.StatusFound) })
	if _, err := v.pull(t, login, newStore(t)); code(err) != CodeRedirect {
		t.Errorf("a loop: %v", err)
	}
	if n := v.blobs.Load(); n > 20 {
		t.Errorf("followed it %d times", n)
	}
	v.blob = ask(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://192.0.2.1/content", http.StatusFound) // plain, and not of this machine
	})
	if _, err := v.pull(t, login, newStore(t)); code(err) != CodeRedirect {
		t.Errorf("to plain HTTP: %v", err)
	}
	v.blob = ask(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
	})
	if _, err := v.pull(t, login, newStore(t)); code(err) != CodeRedirect {
		t.Errorf("to a file: %v", err)
	}
}

// Over TLS even a redirect to this machine must stay in TLS, and the server is checked.
func TestTLS(t *testing.T) {
	m := module(t, "1", 10_000)
	v := newVillain(t, artefact(t, m))
	secure := httptest.NewUnstartedServer(v.Config.Handler)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // of the client that hangs up
	secure.StartTLS()
	defer secure.Close()
	host := strings.TrimPrefix(secure.URL, "https://")
	at := ref(t, "oci://%s/p:1", host)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	must(t, os.WriteFile(ca, pemOf(secure.Certificate()), 0o600))

	c := client(t, Config{CAFile: ca, TLSHosts: []string{host}})
	_, err := c.Pull(t.Context(), at, newStore(t))
	must(t, err)
	if _, err := client(t, Config{TLSHosts: []string{host}, Attempts: 1}).Pull(t.Context(), at, newStore(t)); code(err) != CodeUnreachable && code(err) != CodeFailed {
		t.Errorf("a server with a certificate of nobody: %v", err)
	}
	v.blob = func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, v.URL+r.URL.Path, http.StatusFound) }
	if _, err := c.Pull(t.Context(), at, newStore(t)); code(err) != CodeRedirect {
		t.Errorf("a redirect from https to http: %v", err)
	}
}

// A registry may send its clients to a token server. Credentials go to its own host, or to those that the operator
// listed.
func TestTokenServers(t *testing.T) {
	m := module(t, "1", 10_000)
	v := newVillain(t, artefact(t, m))
	var asked atomic.Int64
	tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		_, _ = io.WriteString(w, `{"token":"t"}`)
	}))
	defer tokens.Close()
	v.manifest = func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer t" {
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="s",scope="repository:p:pull"`, tokens.URL))
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		v.honestManifest(w, r)
	}
	c := Config{Logins: map[string]Login{v.host(): {"ann", "secret"}}}
	if _, err := v.pull(t, c, newStore(t)); code(err) != CodeDenied || asked.Load() != 0 {
		t.Errorf("asked %d times, %v", asked.Load(), err)
	}
	c.TokenHosts = []string{strings.TrimPrefix(tokens.URL, "http://")}
	_, err := v.pull(t, c, newStore(t))
	must(t, err)
	_, err = v.pull(t, Config{}, newStore(t)) // nothing secret is sent
	must(t, err)
}

func TestMirrorsComeFirst(t *testing.T) {
	m := module(t, "1", 10_000)
	origin, good, empty := newVillain(t, artefact(t, m)), newVillain(t, artefact(t, m)), newVillain(t, artefact(t, m))
	empty.manifest = http.NotFound
	lying := newVillain(t, artefact(t, m))
	lying.blob = serve([]byte("something else"))
	for _, tt := range []struct {
		name    string
		mirrors []*villain
		from    *villain
	}{
		{"the first", []*villain{good, empty}, good},
		{"one lacks it, one lies", []*villain{empty, lying, good}, good},
		{"none has it", []*villain{empty, lying}, origin},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var hosts []string
			for _, v := range tt.mirrors {
				hosts = append(hosts, v.host())
			}
			pulled, err := origin.pull(t, Config{Mirrors: hosts, Attempts: 1}, newStore(t))
			must(t, err)
			if pulled.Manifest.Host != tt.from.host() {
				t.Errorf("came from %s", pulled.Manifest.Host)
			}
		})
	}
}

// What a mirror that lies has left behind is not held against those who are asked after it.
func TestLiesThatStay(t *testing.T) {
	m := module(t, "1", 50_000)
	for name, lie := range map[string]http.HandlerFunc{
		"half of something else": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(len(m)))
			_, _ = w.Write(make([]byte, 20_000))
			panic(http.ErrAbortHandler)
		},
		"endless": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = w.Write(make([]byte, 7_000))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			origin, lying := newVillain(t, artefact(t, m)), newVillain(t, artefact(t, m))
			origin.blob = func(w http.ResponseWriter, r *http.Request) {
				http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(origin.find(r)))
			}
			lying.blob = lie
			pulled, err := origin.pull(t, Config{Mirrors: []string{lying.host()}, Attempts: 1}, newStore(t))
			must(t, err)
			if pulled.Manifest.Host != origin.host() || pulled.Digest != digest.FromBytes(m).String() {
				t.Errorf("%+v", pulled)
			}
		})
	}
}
