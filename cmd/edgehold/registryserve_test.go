package main

import (
	"bytes"
	"context"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/edgehold/edgehold/agents/apiserver/apiservertest"
)

// spoken is output of a command that goes on; heard is closed after its first line.
type spoken struct {
	mu    sync.Mutex
	text  bytes.Buffer
	once  sync.Once
	heard chan struct{}
}

func (s *spoken) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.Write(b)
	if bytes.ContainsRune(b, '\n') {
		s.once.Do(func() { close(s.heard) })
	}
	return len(b), nil
}

func TestServe(t *testing.T) {
	dir := t.TempDir()
	certificate, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if err := apiservertest.WriteCertificate(certificate, key); err != nil {
		t.Fatal(err)
	}
	nothing := func(string) string { return "" }
	for name, flags := range map[string]string{"plain": "", "TLS": " --certificate " + certificate + " --key " + key} {
		t.Run(name, func(t *testing.T) {
			ctx, interrupt := context.WithCancel(t.Context())
			said, ended := &spoken{heard: make(chan struct{})}, make(chan int, 1)
			go func() {
				ended <- Main(ctx, strings.Fields("registry serve "+dir+" --listen 127.0.0.1:0"+flags), nil, said, said, nothing)
			}()
			<-said.heard
			said.mu.Lock()
			host := regexp.MustCompile(`127\.0\.0\.1:\d+`).FindString(said.text.String())
			said.mu.Unlock()
			var out bytes.Buffer
			list := "registry list oci://" + host + "/p"
			want := exitOK
			if name == "TLS" {
				want = exitFailed // it is of this machine, and so asked without TLS
			}
			if code := Main(t.Context(), strings.Fields(list), nil, &out, &out, nothing); code != want || name == "plain" && !strings.Contains(out.String(), "TAG") {
				t.Errorf("exit code %d: %s", code, &out)
			}
			interrupt()
			if code := <-ended; code != exitOK {
				t.Errorf("exit code %d: %s", code, &said.text)
			}
		})
	}
	for _, args := range []string{"registry serve x --listen 0.0.0.0:0", "registry serve x --listen 192.0.2.1:0", "registry serve x --certificate nothing.pem"} {
		var out bytes.Buffer
		if code := Main(t.Context(), strings.Fields(args), nil, &out, &out, nothing); code != exitFailed {
			t.Errorf("%s: exit code %d: %s", args, code, &out)
		}
	}
}
