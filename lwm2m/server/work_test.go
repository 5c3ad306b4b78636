package server

import (
	"fmt"
	"testing"
	"time"

	"github.com/edgehold/edgehold/lwm2m"
)

// Anybody can register names from addresses where nobody answers.
func TestSilentStrangersKeepNobodyWaiting(t *testing.T) {
	bubble(t, Config{FirstReads: []lwm2m.Path{at("/3")}, Limits: Limits{Workers: 2}}, func(r *rig) {
		observed := r.device("10.0.0.1:5683").registered("observed", "&lwm2m=1.1")
		observed.reply(observed.asked("GET /3 accept=112"), "4.05", "")
		r.expect("registered observed", "introduced observed")
		seen := begin(func() (Answer, error) {
			return r.server.Do(r.t.Context(), "observed", Request{Operation: OpObserve, Path: at("/3/0/9")})
		})
		observed.text(observed.asked("GET /3/0/9 observe=0 accept=112"), "70", uintField(optObserve, 1))
		_, err := seen.wait()
		must(t, err)

		for n := range 20 {
			r.device(fmt.Sprintf("10.1.0.%d:5683", n)).registered(fmt.Sprint("silent-", n), "&lwm2m=1.1")
		}
		start := time.Now()
		secured := r.secured("secured", 1).registered("secured", "&lwm2m=1.1")
		secured.reply(secured.asked("GET /3 accept=112"), "4.05", "")
		observed.registered("observed", "&lwm2m=1.1") // it was restarted
		observed.text(observed.asked("GET /3/0/9 observe=0 accept=112"), "71", uintField(optObserve, 1))
		if waited := time.Since(start); waited > time.Second {
			t.Errorf("they waited for %s", waited)
		}
	})
}
