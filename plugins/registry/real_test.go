package registry

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/edgehold/edgehold/plugins/registry/registrytest"
)

func TestRealRegistry(t *testing.T) {
	testPlace(t, client(t, Config{}), "oci://"+registrytest.Start(t)+"/policies/load-follower")
}

func TestRealRegistryWithLogin(t *testing.T) {
	host := registrytest.Start(t, registrytest.WithLogin())
	at := "oci://" + host + "/policies/load-follower"
	m := module(t, "1.0.0", 1000)
	for name, c := range map[string]Config{"no credentials": {}, "wrong ones": {Logins: map[string]Login{host: {"ann", "guess"}}},
		"those of another host": {Logins: map[string]Login{"localhost:1": {registrytest.Username, registrytest.Password}}}} {
		if _, err := client(t, c).Push(t.Context(), ref(t, "%s", at), m, PushOptions{}); code(err) != CodeDenied {
			t.Errorf("%s: %v", name, err)
		}
	}
	file := filepath.Join(t.TempDir(), "config.json")
	login := base64.StdEncoding.EncodeToString([]byte(registrytest.Username + ":" + registrytest.Password))
	must(t, os.WriteFile(file, fmt.Appendf(nil, `{"auths": {%q: {"auth": %q}}}`, host, login), 0o600))
	for name, c := range map[string]Config{"file": {CredentialsFile: file}, "configuration": {Logins: map[string]Login{host: {registrytest.Username, registrytest.Password}}}} {
		t.Run(name, func(t *testing.T) {
			testPlace(t, client(t, c), at+"-"+name)
		})
	}
}
