// Package codec turns trees into the payloads of LwM2M and back: plain text, opaque, CBOR, TLV, SenML in JSON and CBOR,
// LwM2M CBOR, and the JSON of 1.0, which it only reads (Core 1.2 §7.5). It is no protocol and asks no device: what a
// payload does not tell, the type of a value, comes from Types.
//
// Payloads come from outside. Each decoder walks the bytes that are there: no length and no count of a message is
// believed before it is checked against them, nesting is bounded, and so is the number of records (MaxRecords).
package codec
