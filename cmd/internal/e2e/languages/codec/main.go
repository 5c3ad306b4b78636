// Command codec is a guest that decodes a message and encodes it again, to hold compilers against the vectors of wasmabi. It is not
// a policy: the request is the message's name, a zero and its bytes.
package main

func main() {}
