package sign

// FirstDocument is the first document of a ceremony as somebody might publish it, whoever has signed it so far.
func FirstDocument(c *Ceremony) (name string, content []byte, err error) {
	content, err = c.Documents[0].bytes()
	return c.Documents[0].file(), content, err
}

// ReadDocument parses a document of a role.
func ReadDocument(raw []byte, role string) error {
	_, _, err := readAny("read it", raw, role)
	return err
}
