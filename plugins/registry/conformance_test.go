package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// testPlace is what every place has to do, whatever it is made of.
func testPlace(t *testing.T, c *Client, at string) {
	zeroth, first, second := module(t, "0.9.0", 100_000), module(t, "1.0.0", 100_000), module(t, "1.0.1+build.5", 100_000)
	s := newStore(t)

	pushed, err := c.Push(t.Context(), ref(t, "%s", at), first, PushOptions{})
	must(t, err)
	if pushed.Reference.Tag != "1.0.0" {
		t.Errorf("pushed as %s", pushed.Reference)
	}
	pulled, err := c.Pull(t.Context(), ref(t, "%s:1.0.0", at), s)
	must(t, err)
	if got, err := s.Read(pulled.Digest); err != nil || !bytes.Equal(got, first) || pulled.Way != Whole || pulled.Received != int64(len(first)) {
		t.Errorf("%+v, %v", pulled, err)
	}
	again, err := c.Pull(t.Context(), ref(t, "%s", pushed.Reference), s)
	must(t, err)
	if again.Way != Kept || again.Received != 0 || again.Digest != pushed.Digest {
		t.Errorf("again: %+v", again)
	}

	pushed, err = c.Push(t.Context(), ref(t, "%s", at), second, PushOptions{Bases: [][]byte{first, second, zeroth}})
	must(t, err)
	if len(pushed.Deltas) != 2 || pushed.Deltas[0].Bytes > 10_000 {
		t.Errorf("deltas %+v", pushed.Deltas)
	}
	pulled, err = c.Pull(t.Context(), ref(t, "%s:1.0.1_build.5", at), s, again.Digest)
	must(t, err)
	if got, err := s.Read(pulled.Digest); err != nil || !bytes.Equal(got, second) {
		t.Errorf("by delta: %v", err)
	}
	if pulled.Way != Delta || pulled.Base != again.Digest || pulled.Received != pushed.Deltas[0].Bytes {
		t.Errorf("by delta: %+v", pulled)
	}

	other := module(t, "1.0.0", 200)
	if _, err := c.Push(t.Context(), ref(t, "%s", at), other, PushOptions{}); code(err) != CodeTaken {
		t.Errorf("another module under the same version: %v", err)
	}
	_, err = c.Push(t.Context(), ref(t, "%s", at), other, PushOptions{Overwrite: true})
	must(t, err)

	if _, err := c.Pull(t.Context(), ref(t, "%s:none", at), s); code(err) != CodeNotFound {
		t.Errorf("unknown tag: %v", err)
	}
	if _, err := c.Pull(t.Context(), ref(t, "%s", at), s); code(err) != CodeReference {
		t.Errorf("no tag: %v", err)
	}
	tags, err := c.Tags(t.Context(), ref(t, "%s", at))
	must(t, err)
	if len(tags) < 2 || tags[0] != "1.0.0" || tags[1] != "1.0.1_build.5" { // a registry without the referrers API has one more
		t.Errorf("tags %v", tags)
	}
	testTrust(t, c, at)
}

func testTrust(t *testing.T, c *Client, at string) {
	files := map[string][]byte{"images/1.root.json": []byte("root"), "images/timestamp.json": []byte("t1"), "director/node-7/timestamp.json": []byte("d"),
		"director/a+b/timestamp.json": []byte("plus")}
	for n := range 2 * keptVersions {
		files[fmt.Sprintf("images/%d.snapshot.json", n+1)] = fmt.Appendf(nil, "snapshot %d", n+1)
	}
	must(t, c.PushMetadata(t.Context(), ref(t, "%s", at), files))
	must(t, c.PushMetadata(t.Context(), ref(t, "%s", at), map[string][]byte{"images/timestamp.json": []byte("t2")}))
	files["images/timestamp.json"] = []byte("t2")
	delete(files, "images/1.snapshot.json") // nobody asks for it any more
	var source interface {                  // package sign declares it
		Metadata(ctx context.Context, name string, limit int64) ([]byte, error)
	} = c.Source(ref(t, "%s:whatever", at))
	for _, name := range []string{"images/1.root.json", "images/timestamp.json", "director/node-7/timestamp.json", "director/a+b/timestamp.json", "images/16.snapshot.json"} {
		got, err := source.Metadata(t.Context(), name, 100)
		must(t, err)
		if diff := cmp.Diff(string(got), string(files[name])); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	for _, name := range []string{"images/2.root.json", "images/1.snapshot.json", "director/node-8/timestamp.json", "timestamp.json", "../x", "images/../1.root.json"} {
		if got, err := source.Metadata(t.Context(), name, 100); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if _, err := source.Metadata(t.Context(), "images/1.root.json", 3); code(err) != CodeMismatch {
		t.Errorf("more than the limit: %v", err)
	}
}

func TestFolder(t *testing.T) {
	testPlace(t, client(t, Config{}), "dir:"+t.TempDir())
}
