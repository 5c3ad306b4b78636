package config

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edgehold/edgehold/plugins/sign"
)

// writePin makes what trust can begin with.
func writePin(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	repository, _, err := sign.Init(dir, sign.InitOptions{Keys: filepath.Join(dir, "keys"), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return repository.PinPath()
}

func TestTrustConfigurationIsJudgedAsAWhole(t *testing.T) {
	tests := map[string]string{
		"trust: {require: signed}":                         "trust.root is needed",
		"trust: {require: maybe}":                          "trust.require",
		"trust: {clock: sundial}":                          "trust.clock",
		"trust: {source: /srv/x}":                          "trust.root is needed with trust.source",
		"trust: {follow: true}":                            "trust.source is needed",
		"trust: {interval: 1ms}":                           "trust.interval",
		"trust: {root: nowhere.json}":                      "trust.root can't be used",
		"trust: {follow: true, source: /srv/x, node: a/b}": "trust.node can't be used",
		"trust: {require: signed, rooot: pin.json}":        "rooot",
	}
	for text, want := range tests {
		_, err := Load(writeConfig(t, "name: a\n"+text+"\n"), nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}
