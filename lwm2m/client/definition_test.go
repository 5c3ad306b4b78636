package client_test

import (
	"testing"

	"github.com/edgehold/edgehold/lwm2m/client"
	"github.com/edgehold/edgehold/lwm2m/client/clienttest"
)

func TestOwnObjectsAreOMAs(t *testing.T) {
	for _, d := range client.Own {
		clienttest.Definition(t, d)
	}
}
