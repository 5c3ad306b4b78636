// Package dtls carries CoAP datagrams over DTLS 1.2 (RFC 6347): one UDP socket, many associations, pre-shared keys
// (RFC 4279, RFC 6655, RFC 5487) or X.509 certificates on both sides, and connection ids (RFC 9146).
//
// It is not a DTLS library: pion shakes hands. What follows, the record layer of an established association, is ours, because
// an association is then a small struct without goroutines, its sequence numbers are under our control, and it can sleep on
// disk. RATIONALE.md has the reasons and what makes it safe.
//
// An association is known by its [ID], never by an address: the id is also its connection id on the wire, so a device that
// has negotiated one stays the same peer behind a NAT that has given it another port.
package dtls
