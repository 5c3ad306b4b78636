package plugins

// ParseLanguage reads in which language a policy.yaml says that its project is written; it is empty when the file does
// not say. The language is for who builds the project, and no part of the manifest: a module does not tell it.
func ParseLanguage(text []byte) (string, error) {
	d := &document{text: text}
	root, err := d.parse()
	if err != nil {
		return "", err
	}
	object, _ := root.raw.(map[string]any)
	language, _ := object["language"].(string)
	return language, nil
}
