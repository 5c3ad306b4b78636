package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRegistryConfiguration(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"password": "secret\n", "config.json": `{"auths":{}}`, "broken.json": "{"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ text, wrong string }{
		{"", ""},
		{"{credentials: config.json, logins: {'r.example:5000': {username: ann, password_file: password}}, mirrors: ['10.0.0.7:5443']}", ""},
		{"{credentials: missing.json}", "registry "},
		{"{credentials: broken.json}", "registry "},
		{"{logins: {r.example: {username: ann, password_file: missing}}}", "registry "},
		{"{mirrors: ['https://r.example']}", "registry "},
		{"{ca: password}", "registry "},
		{"{stall: 1ms}", "registry.stall"},
		{"{store_bytes: 5}", "registry.store_bytes"},
		{"{mirror: {listen: '127.0.0.1:0', plain: true}}", ""},
		{"{mirror: {listen: '127.0.0.1:0'}}", "registry.mirror"},
		{"{mirror: {listen: '0.0.0.0:5443', plain: true}}", "registry.mirror.plain"},
		{"{mirror: {listen: '0.0.0.0:5443', tls: {certificate: a, key: b}}}", ""},
		{"{mirror: {listen: '127.0.0.1:0', plain: true, tls: {certificate: a, key: b}}}", "registry.mirror"},
	} {
		path := filepath.Join(dir, "agent.yaml")
		text := "state_directory: state\nguests: {cache_directory: cache}\napi: {socket: s}\nregistry: " + tt.text + "\n"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Load(path, nil)
		if (err != nil) != (tt.wrong != "") || err != nil && !strings.Contains(err.Error(), tt.wrong) {
			t.Errorf("%s: %v", tt.text, err)
		}
	}
}
