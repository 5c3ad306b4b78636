package token

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/edgehold/edgehold/agents/api"
)

func TestNewIsFoundAgain(t *testing.T) {
	made, secret, err := New("ci", api.RoleOperator)
	if err != nil {
		t.Fatal(err)
	}
	set, err := Parse([]byte("# tokens\n\n" + made.Line()))
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := set.Lookup(secret); !ok || got != made {
		t.Errorf("Lookup of the secret = %v, %v", got, ok)
	}
	for _, wrong := range []string{"", "eh_", secret + "x", strings.ToLower(secret) + "-"} {
		if got, ok := set.Lookup(wrong); ok {
			t.Errorf("Lookup(%q) = %v", wrong, got)
		}
	}
	if strings.Contains(made.Line(), secret) {
		t.Error("the line holds the secret")
	}
}

func TestParseReportsEveryFault(t *testing.T) {
	hash := strings.Repeat("ab", 32)
	_, err := Parse([]byte("a viewer sha256:" + hash + "\nb chief sha256:" + hash + "\na viewer sha256:" + hash +
		"\nc viewer md5:00\nd viewer\n"))
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{`line 2: the role "chief"`, "line 3: the name \"a\" stands on line 1", "line 4: the hash", "line 5: it has 2"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error lacks %q:\n%v", want, err)
		}
	}
}

func TestFileFollowsRevocation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	secrets := map[string]string{}
	for _, name := range []string{"ci", "grafana"} {
		made, secret, err := New(name, api.RoleViewer)
		if err != nil {
			t.Fatal(err)
		}
		if err := Append(path, made); err != nil {
			t.Fatal(err)
		}
		secrets[name] = secret
	}
	file, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok, _ := file.Lookup(secrets["ci"]); !ok {
		t.Fatal("a stored token is not found")
	}
	text, _ := os.ReadFile(path)
	_, second, _ := strings.Cut(string(text), "\n")
	if err := os.WriteFile(path, []byte(second), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, ok, _ := file.Lookup(secrets["ci"]); ok {
		t.Error("a revoked token is still let in")
	}
	if got, ok, _ := file.Lookup(secrets["grafana"]); !ok || got.Name != "grafana" {
		t.Error("the other token was lost")
	}
	os.Remove(path)
	if _, ok, err := file.Lookup(secrets["grafana"]); ok || err == nil {
		t.Error("a missing file lets somebody in")
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		mode os.FileMode
		want string
	}{
		"empty":          {"# nothing\n", 0o600, "holds no token"},
		"world writable": {"a viewer sha256:" + strings.Repeat("ab", 32) + "\n", 0o606, "chmod o-w"},
		"faulty":         {"a\n", 0o600, "line 1"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "tokens")
			os.WriteFile(path, []byte(c.text), 0o600)
			os.Chmod(path, c.mode)
			if _, err := Open(path); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

func TestAppendRefusesATakenName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	for i, want := range []bool{true, false} {
		made, _, _ := New("ci", api.RoleViewer)
		if err := Append(path, made); (err == nil) != want {
			t.Errorf("append %d: %v", i, err)
		}
	}
}

// FuzzParse checks that whatever is read can be written and read again.
func FuzzParse(f *testing.F) {
	f.Add([]byte("ci operator sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae\n"))
	f.Add([]byte("# none\n\n a b c d\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		set, err := Parse(text)
		if err != nil {
			return
		}
		var lines strings.Builder
		for _, token := range set.tokens {
			lines.WriteString(token.Line())
		}
		again, err := Parse([]byte(lines.String()))
		if err != nil || again.Len() != set.Len() {
			t.Fatalf("%q: written and read again: %v", text, err)
		}
	})
}
