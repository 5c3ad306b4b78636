// Package lwm2m holds the words that everything about LwM2M shares: paths, values, trees, content formats, links and
// attributes, as OMA-TS-LightweightM2M_Core-V1_2 names them. It is no protocol: coap carries messages, codec turns trees
// into payloads and back, model knows the objects, server and client are the two ends.
//
// Everything here is a plain value. A Path and a Value are comparable, hold no pointer but a string, and are made
// without allocating.
package lwm2m
