package registry

import (
	"bytes"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestServedFolder(t *testing.T) {
	dir := t.TempDir()
	c := client(t, Config{})
	first, second := module(t, "1.0.0", 50_000), module(t, "1.1.0", 50_000)
	for _, m := range [][]byte{first, second} {
		_, err := c.Push(t.Context(), ref(t, "dir:%s", dir), m, PushOptions{Bases: [][]byte{first}})
		must(t, err)
	}
	must(t, c.PushMetadata(t.Context(), ref(t, "dir:%s", dir), map[string][]byte{"images/1.root.json": []byte("r")}))
	server := httptest.NewServer(Serve(dir))
	defer server.Close()
	at := "oci://" + strings.TrimPrefix(server.URL, "http://") + "/any/name"

	s := newStore(t)
	pulled, err := c.Pull(t.Context(), ref(t, "%s:1.0.0", at), s)
	must(t, err)
	pulled, err = c.Pull(t.Context(), ref(t, "%s:1.1.0", at), s, pulled.Digest)
	must(t, err)
	if got, err := s.Read(pulled.Digest); err != nil || !bytes.Equal(got, second) || pulled.Way != Delta {
		t.Errorf("%+v, %v", pulled, err)
	}
	tags, err := c.Tags(t.Context(), ref(t, "%s", at))
	if err != nil || strings.Join(tags, " ") != "1.0.0 1.1.0 trust.images" {
		t.Errorf("tags %v, %v", tags, err)
	}
	if got, err := c.Source(ref(t, "%s", at)).Metadata(t.Context(), "images/1.root.json", 10); err != nil || string(got) != "r" {
		t.Errorf("metadata %q, %v", got, err)
	}
	for _, target := range []string{"2.0.0", "../../etc/passwd", ".lock"} {
		if _, err := c.Pull(t.Context(), Reference{Scheme: OCI, Host: strings.TrimPrefix(server.URL, "http://"), Repository: "p", Tag: target}, s); err == nil {
			t.Errorf("%s was served", target)
		}
	}
}

func TestPrivateAddresses(t *testing.T) {
	for address, want := range map[string]bool{"127.0.0.1:1": true, "[::1]:1": true, "localhost:1": true, "10.0.0.7:1": true, "192.168.1.1:1": true, "[fe80::1]:1": true,
		"[fd00::1]:1": true, "[::ffff:10.0.0.1]:1": true, "0.0.0.0:1": false, "[::]:1": false, ":1": false, "192.0.2.1:1": false, "example.org:1": false, "10.0.0.7": false} {
		if got := IsPrivate(address); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
}
