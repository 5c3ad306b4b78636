package dtls

import "fmt"

// Alerts, RFC 5246 section 7.2.
const (
	alertWarning     = 1
	alertFatal       = 2
	alertCloseNotify = 0

	alertHandshakeFailure = 40
	alertAccessDenied     = 49
)

// AlertError says that the peer ended its association with an alert.
type AlertError struct{ Description byte }

func (e *AlertError) Error() string {
	if e.Description == alertCloseNotify {
		return "the peer closed the association"
	}
	return fmt.Sprintf("the peer ended the association with alert %d", e.Description)
}

// alert takes an authenticated alert: a close_notify is answered by one, and a fatal alert ends the association. Other
// warnings say nothing that we could act on. An unauthenticated alert never comes here (RFC 6347 section 4.1.2.7).
func (t *Transport) alert(a *association, payload []byte) {
	switch {
	case len(payload) != 2:
	case payload[1] == alertCloseNotify:
		t.end(a, true, &AlertError{alertCloseNotify})
	case payload[0] == alertFatal:
		t.end(a, false, &AlertError{payload[1]})
	}
}
