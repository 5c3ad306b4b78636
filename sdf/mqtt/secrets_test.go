package mqtt

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func secretFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestSecretsOfAClient(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"a line":                  {"secret\n", "secret"},
		"without its end":         {"secret", "secret"},
		"of another system":       {"secret\r\n", "secret"},
		"spaces belong to it":     {" a secret \n", " a secret "},
		"nothing to do with TLS.": {"BEGIN", "BEGIN"},
	} {
		t.Run(name, func(t *testing.T) {
			var c DialConfig
			if err := (Secrets{Password: secretFile(t, test.text)}).Read(&c); err != nil || c.Password != test.want || c.TLS == nil {
				t.Errorf("got %q, TLS %v, %v", c.Password, c.TLS, err)
			}
		})
	}
	c := DialConfig{Password: "kept"}
	if err := (Secrets{}).Read(&c); err != nil || c.Password != "kept" || c.TLS.RootCAs != nil {
		t.Errorf("got %+v, %v", c, err)
	}
}

func TestSecretsThatCannotBeUsed(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none")
	text := secretFile(t, "no PEM")
	for name, test := range map[string]struct {
		secrets Secrets
		want    []string
	}{
		"nothing there":   {Secrets{Password: none, CA: none, Certificate: none, Key: none}, []string{"password from " + none, "certificates from " + none, "certificate " + none}},
		"no certificates": {Secrets{CA: text}, []string{"it holds no certificate"}},
		"key alone":       {Secrets{Key: text}, []string{"only one of the two"}},
		"no key":          {Secrets{Certificate: text}, []string{"only one of the two"}},
		"no pair":         {Secrets{Certificate: text, Key: text}, []string{"failed to find any PEM data"}},
		"empty password":  {Secrets{Password: secretFile(t, "\n")}, []string{"does not hold one line"}},
		"two passwords":   {Secrets{Password: secretFile(t, "one\ntwo\n")}, []string{"does not hold one line"}},
		"a folder":        {Secrets{Password: t.TempDir()}, []string{"is a directory"}},
		"another file":    {Secrets{Password: secretFile(t, strings.Repeat("x", maxPassword+1))}, []string{"is larger than"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := test.secrets.Read(&DialConfig{})
			for _, want := range test.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q", err, want)
				}
			}
			if e, ok := errors.AsType[*Error](err); !ok || e.Code != "broker.credentials" || e.Hint == "" {
				t.Errorf("got %#v", err)
			}
		})
	}
	if c, err := (Secrets{CA: none}).Listen(); c != nil || err != nil {
		t.Errorf("a broker without a certificate: got %v, %v", c, err)
	}
}
