package apiserver_test

import (
	"encoding/json"
	"flag"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/edgehold/edgehold/agents/apiserver"
)

var update = flag.Bool("update", false, "write golden files")

const documentPath = "../api/openapi.json"

func TestDocumentIsCommitted(t *testing.T) {
	got, err := apiserver.Document()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(documentPath, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(documentPath)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s is stale, run go test ./agents/apiserver -run Document -update (-committed +now):\n%s", documentPath, diff)
	}
}

func TestDocumentIsServed(t *testing.T) {
	s := serve(t)
	response, err := s.raw(t).Get("http://edgehold/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	committed, _ := os.ReadFile(documentPath)
	if diff := cmp.Diff(decode(t, committed), decode(t, text)); diff != "" {
		t.Error(diff)
	}
}

func decode(t *testing.T, text []byte) (v map[string]any) {
	t.Helper()
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// described is as much of an OpenAPI document as the rules below look at.
type described struct {
	OpenAPI string
	Paths   map[string]map[string]struct {
		OperationID, Summary, Description string
		Tags                              []string
		Parameters                        []struct {
			Name, Description string
			Schema            map[string]any
		}
		RequestBody *struct {
			Content map[string]struct{ Schema map[string]any }
		}
		Responses map[string]struct {
			Content map[string]struct{ Schema map[string]any }
		}
	}
	Components struct {
		Schemas map[string]struct {
			Properties map[string]map[string]any
		}
	}
}

// TestEveryOperationIsDescribed holds each operation to the same rules.
func TestEveryOperationIsDescribed(t *testing.T) {
	text, err := apiserver.Document()
	if err != nil {
		t.Fatal(err)
	}
	var document described
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	if document.OpenAPI != "3.1.0" {
		t.Errorf("OpenAPI %s", document.OpenAPI)
	}
	ids := map[string]string{}
	for _, path := range slices.Sorted(maps.Keys(document.Paths)) {
		for method, op := range document.Paths[path] {
			t.Run(strings.ToUpper(method)+path, func(t *testing.T) {
				if op.Summary == "" || len(op.Description) < 15 || !strings.HasSuffix(op.Description, ".") || len(op.Tags) != 1 {
					t.Errorf("summary %q, description %q, tags %v", op.Summary, op.Description, op.Tags)
				}
				if before, taken := ids[op.OperationID]; taken || op.OperationID == "" {
					t.Errorf("operation id %q is also that of %s", op.OperationID, before)
				}
				ids[op.OperationID] = path
				for _, p := range op.Parameters {
					if p.Description == "" || p.Schema == nil {
						t.Errorf("parameter %s has no description or no schema", p.Name)
					}
				}
				if op.RequestBody != nil && len(op.RequestBody.Content) == 0 {
					t.Error("the body has no schema")
				}
				problems := 0
				for status, response := range op.Responses {
					for media, content := range response.Content {
						if len(content.Schema) == 0 {
							t.Errorf("%s %s has no schema", status, media)
						}
						if media == "application/problem+json" {
							problems++
						}
					}
				}
				if problems < 4 {
					t.Errorf("only %d of its failures are described", problems)
				}
			})
		}
	}
	for name, schema := range document.Components.Schemas {
		for property, content := range schema.Properties {
			if content["description"] == nil && content["$ref"] == nil {
				t.Errorf("%s.%s has no description", name, property)
			}
		}
	}
}
