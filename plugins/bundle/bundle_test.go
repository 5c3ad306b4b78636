package bundle

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/edgehold/edgehold/wasmabi"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func code(err error) string {
	var c interface{ ErrorCode() string }
	if errors.As(err, &c) {
		return c.ErrorCode()
	}
	return ""
}

func module(t testing.TB) []byte {
	t.Helper()
	m, err := wasmabi.AppendManifest([]byte("\x00asm\x01\x00\x00\x00"), &wasmabi.Manifest{
		Name: "load-follower", Version: "1.2.0", Kind: wasmabi.KindPolicy, Layer: wasmabi.LayerNode, Scope: wasmabi.ScopeNode, ABI: wasmabi.Version, Description: "Follows.",
	})
	must(t, err)
	return m
}

func signed(t testing.TB) *Bundle {
	return &Bundle{Module: module(t), Trust: map[string][]byte{
		"images/1.root.json": []byte("root"), "images/timestamp.json": []byte("timestamp"), "director/node-7/timestamp.json": []byte("director"), "top.json": []byte("top"),
	}}
}

func written(t testing.TB, b *Bundle) []byte {
	t.Helper()
	var out bytes.Buffer
	must(t, Write(&out, b))
	return out.Bytes()
}

func TestRoundTrip(t *testing.T) {
	for name, b := range map[string]*Bundle{"signed": signed(t), "unsigned": {Module: module(t), Trust: map[string][]byte{}}} {
		file := written(t, b)
		if !Is(file) || Is(b.Module) {
			t.Errorf("%s: not told from a module", name)
		}
		got, err := Read(bytes.NewReader(file))
		must(t, err)
		if diff := cmp.Diff(got, b); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if !bytes.Equal(written(t, b), file) {
			t.Errorf("%s: the same bundle gives other bytes", name)
		}
	}
}

// The layout of the manifest is what other tools have to understand.
func TestCNCFLayout(t *testing.T) {
	i, err := Artefact(module(t))
	must(t, err)
	var m ocispec.Manifest
	must(t, json.Unmarshal(i.Manifest.Content, &m))
	if m.MediaType != "application/vnd.oci.image.manifest.v1+json" || m.Config.MediaType != "application/vnd.wasm.config.v0+json" ||
		len(m.Layers) != 1 || m.Layers[0].MediaType != "application/wasm" {
		t.Errorf("%s", i.Manifest.Content)
	}
	var config map[string]any
	must(t, json.Unmarshal(i.Blobs[0].Content, &config))
	if config["architecture"] != "wasm" || config["os"] != "wasip1" || cmp.Diff(config["layerDigests"], []any{string(m.Layers[0].Digest)}) != "" {
		t.Errorf("%v", config)
	}
	if m.Annotations[ocispec.AnnotationVersion] != "1.2.0" || m.Annotations[AnnotationKind] != "policy" {
		t.Errorf("%v", m.Annotations)
	}
}

// repack changes the files of a bundle.
func repack(t testing.TB, b *Bundle, change func(files map[string][]byte)) []byte {
	t.Helper()
	files, err := b.layout()
	must(t, err)
	change(files)
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		must(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(files[name])), Mode: 0o644}))
		_, err := w.Write(files[name])
		must(t, err)
	}
	must(t, w.Close())
	return out.Bytes()
}

func entry(t testing.TB, h tar.Header) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	must(t, w.WriteHeader(&h))
	must(t, w.Close())
	return out.Bytes()
}

func hostile(t testing.TB) map[string][]byte {
	file := written(t, signed(t))
	largest := func(files map[string][]byte) (name string) {
		for n, content := range files {
			if strings.HasPrefix(n, "blobs/") && bytes.HasPrefix(content, []byte("\x00asm")) {
				name = n
			}
		}
		return name
	}
	two, err := (&Bundle{Module: append(module(t), 0, 2, 1, 'x')}).layout()
	must(t, err)
	return map[string][]byte{
		"empty":              nil,
		"cut":                file[:len(file)/2],
		"a module":           module(t),
		"noise":              bytes.Repeat([]byte("ustar"), 1000),
		"a file outside":     repack(t, signed(t), func(f map[string][]byte) { f["../../etc/cron.d/x"] = []byte("x") }),
		"an absolute path":   repack(t, signed(t), func(f map[string][]byte) { f["/etc/passwd"] = []byte("x") }),
		"another hash":       repack(t, signed(t), func(f map[string][]byte) { f["blobs/sha512/"+strings.Repeat("0", 128)] = []byte("x") }),
		"a link":             entry(t, tar.Header{Typeflag: tar.TypeSymlink, Name: "index.json", Linkname: "/etc/passwd"}),
		"a hard link":        entry(t, tar.Header{Typeflag: tar.TypeLink, Name: "index.json", Linkname: "/etc/passwd"}),
		"a device":           entry(t, tar.Header{Typeflag: tar.TypeChar, Name: "index.json"}),
		"no index":           repack(t, signed(t), func(f map[string][]byte) { delete(f, "index.json") }),
		"tampered module":    repack(t, signed(t), func(f map[string][]byte) { f[largest(f)] = append(module(t), 0, 1, 0) }),
		"module of one more": repack(t, signed(t), func(f map[string][]byte) { f[largest(f)] = append(f[largest(f)], 0) }),
		"lacks the module":   repack(t, signed(t), func(f map[string][]byte) { delete(f, largest(f)) }),
		"two modules": repack(t, signed(t), func(f map[string][]byte) {
			var x, y ocispec.Index
			must(t, json.Unmarshal(f["index.json"], &x))
			must(t, json.Unmarshal(two["index.json"], &y))
			x.Manifests = append(x.Manifests, y.Manifests...)
			maps.Copy(f, two)
			f["index.json"], err = json.Marshal(x)
			must(t, err)
		}),
		"trust alone": repack(t, signed(t), func(f map[string][]byte) {
			var x ocispec.Index
			must(t, json.Unmarshal(f["index.json"], &x))
			x.Manifests = slices.DeleteFunc(x.Manifests, func(d ocispec.Descriptor) bool { return d.Annotations[ocispec.AnnotationRefName] == "module" })
			f["index.json"], err = json.Marshal(x)
			must(t, err)
		}),
		"the same trust twice": repack(t, signed(t), func(f map[string][]byte) {
			var x ocispec.Index
			must(t, json.Unmarshal(f["index.json"], &x))
			x.Manifests = append(x.Manifests, x.Manifests...)
			f["index.json"], err = json.Marshal(x)
			must(t, err)
		}),
		"many names for one blob": manyNames(t, 8, make([]byte, maxMetadataBytes-1<<16)),
		"too large":               repack(t, signed(t), func(f map[string][]byte) { f["blobs/sha256/"+strings.Repeat("0", 64)] = make([]byte, MaxBytes) }),
	}
}

// manyNames is a bundle whose trust metadata are the same content under as many names as an image can have, in several folders.
func manyNames(t testing.TB, folders int, content []byte) []byte {
	t.Helper()
	x := index{files: map[string][]byte{}}
	for i := range folders {
		files := map[string][]byte{}
		for k := range maxTrustFiles {
			files[fmt.Sprint("a", k)] = content
		}
		image, err := Trust(fmt.Sprint("f", i), files)
		must(t, err)
		x.add(image, "")
	}
	must(t, x.close())
	return repack(t, signed(t), func(f map[string][]byte) { clear(f); maps.Copy(f, x.files) })
}

// Reading costs in proportion to the file, whatever the file says about itself.
func TestReadingIsCheap(t *testing.T) {
	_, err := Read(bytes.NewReader(manyNames(t, 8, make([]byte, maxMetadataBytes-1<<16))))
	if code(err) != CodeTooLarge || !strings.Contains(err.Error(), reading) {
		t.Errorf("%v", err)
	}
	for _, folders := range []int{3, 30} {
		file := manyNames(t, folders, []byte("x"))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := Read(bytes.NewReader(file)); code(err) != "bundle.bad-form" { // there is no module
			t.Errorf("%v", err)
		}
		runtime.ReadMemStats(&after)
		if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 16*uint64(len(file)) {
			t.Errorf("%d bytes took %d of memory", len(file), allocated)
		}
	}
}

func TestHostileBundles(t *testing.T) {
	for name, file := range hostile(t) {
		b, err := Read(bytes.NewReader(file))
		if !strings.HasPrefix(code(err), "bundle.") {
			t.Errorf("%s: %v, %v", name, b, err)
		}
	}
}

func TestWhatCantBeReadIsNotWritten(t *testing.T) {
	for name, b := range map[string]*Bundle{
		"no module":  {},
		"large":      {Module: make([]byte, MaxModuleBytes+1)},
		"a bad name": {Module: module(t), Trust: map[string][]byte{"images/../x": []byte("x")}},
		"a space":    {Module: module(t), Trust: map[string][]byte{"images/a b": []byte("x")}},
		"empty file": {Module: module(t), Trust: map[string][]byte{"images/a": nil}},
	} {
		var out bytes.Buffer
		if err := Write(&out, b); err == nil {
			if _, err := Read(&out); err == nil && name != "a bad name" {
				t.Errorf("%s was written", name)
			}
		}
	}
}

func TestTags(t *testing.T) {
	for folder, want := range map[string]string{"": "trust", "images": "trust.images", "director/node-7": "trust.director.node-7"} {
		if got := TrustTag(folder); got != want {
			t.Errorf("%q: %s", folder, got)
		}
	}
	for _, folder := range []string{"director/a+b", "director/" + strings.Repeat("n", 120)} {
		if got := TrustTag(folder); len(got) > maxTagBytes || strings.Contains(got, "+") || !strings.HasPrefix(got, "trust.x-") {
			t.Errorf("%q: %s", folder, got)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(written(f, signed(f)))
	for name, file := range hostile(f) {
		if name != "too large" {
			f.Add(file)
		}
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		b, err := Read(bytes.NewReader(file))
		if err == nil {
			if _, err := Read(bytes.NewReader(written(t, b))); err != nil {
				t.Errorf("what was read can't be written and read again: %v", err)
			}
		}
	})
}

func FuzzManifest(f *testing.F) {
	i, err := Artefact(module(f))
	must(f, err)
	trust, err := Trust("images", map[string][]byte{"1.root.json": []byte("r")})
	must(f, err)
	delta, err := Delta(i.Manifest.Descriptor, "sha256:0", "sha256:1", []byte("d"))
	must(f, err)
	for _, seed := range []Image{i, trust, delta} {
		f.Add(seed.Manifest.Content)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if l, err := ParseArtefact(raw); err == nil && (l.Descriptor.Size <= 0 || l.Descriptor.Size > maxLayerBytes) {
			t.Errorf("a layer of %d bytes", l.Descriptor.Size)
		}
		if d, err := ParseDelta(raw); err == nil && d.Size > MaxModuleBytes {
			t.Errorf("a delta of %d bytes", d.Size)
		}
		if _, files, err := ParseTrust(raw); err == nil && len(files) > maxTrustFiles {
			t.Errorf("%d files", len(files))
		}
	})
}
