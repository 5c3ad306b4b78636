package capability

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/edgehold/edgehold/wasmabi"
)

// A client makes the requests that are granted, and no others, wherever a server sends it.
func TestClient(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, "http://elsewhere.example.org/", http.StatusFound)
		case "/long":
			io.WriteString(w, strings.Repeat("x", 2000))
		default:
			io.WriteString(w, "host "+r.Host)
		}
	}))
	defer server.Close()
	asked := []wasmabi.CapabilityRequest{{Name: "device", Kind: wasmabi.CapabilityHTTP, Hosts: []string{"plug.example.org:80"}, Methods: []string{"GET"}, Bytes: 1000}}
	address := strings.TrimPrefix(server.URL, "http://")
	offers := []Offer{{Kind: wasmabi.CapabilityHTTP, Hosts: []string{"*.example.org:80"}, Methods: []string{"GET", "PUT"}, Address: address}}
	tests := []struct {
		name, method, url string
		offers            []Offer
		want              string // of the body; empty: it is refused
	}{
		{"granted", "GET", "http://plug.example.org/", offers, "host plug.example.org"},
		{"another method", "PUT", "http://plug.example.org/", offers, ""},
		{"another host", "GET", "http://other.example.org/", offers, ""},
		{"another port", "GET", "http://plug.example.org:81/", offers, ""},
		{"another scheme", "GET", "https://plug.example.org/", offers, ""},
		{"redirected", "GET", "http://plug.example.org/away", offers, ""},
		{"too long", "GET", "http://plug.example.org/long", offers, ""},
		{"not offered", "GET", "http://plug.example.org/", nil, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := NewClient(asked, Config{Offers: test.offers})
			defer c.Transport.(*granted).close()
			r, err := http.NewRequestWithContext(t.Context(), test.method, test.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Host = "somebody.else" // as a plugin's header could have it
			body := ""
			answer, err := c.Do(r)
			if err == nil {
				b, readErr := io.ReadAll(answer.Body)
				answer.Body.Close()
				if body, err = string(b), readErr; err != nil {
					body = ""
				}
			}
			if body != test.want || (err == nil) != (test.want != "") {
				t.Errorf("%q, %v", body, err)
			}
		})
	}
}

func (t *granted) close() {
	for _, p := range t.ports {
		p.Close()
	}
}
