package adapter

import "strconv"

// JSON is a place in a JSON document. It reads one value at a time, without reflection, so that a module stays small. A
// document that is cut off or nested too deeply has nothing at the place.
type JSON []byte

const maxJSONDepth = 32

// At is the value under a key of an object, or at an index of an array: JSON(body).At("relays", "0", "on"). It is empty when
// there is none.
func (j JSON) At(path ...string) JSON {
	for _, key := range path {
		j = j.child(key)
	}
	return j.trim()
}

// Number is the value as a number.
func (j JSON) Number() (float64, error) { return Parse(string(j.trim())) }

// Bool is the value as true or false.
func (j JSON) Bool() (bool, error) {
	switch string(j.trim()) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, Failed("\"" + clip(string(j), 64) + "\" is neither true nor false")
}

// Text is the value as a text.
func (j JSON) Text() (string, error) {
	t := j.trim()
	if len(t) < 2 || t[0] != '"' {
		return "", Failed("\"" + clip(string(j), 64) + "\" is not a text")
	}
	return unquote(t)
}

func unquote(t JSON) (string, error) {
	var out []byte
	for i := 1; i < len(t)-1; i++ {
		if t[i] != '\\' {
			out = append(out, t[i])
			continue
		}
		i++
		switch c := t[i]; c {
		case '"', '\\', '/':
			out = append(out, c)
		case 'n':
			out = append(out, '\n')
		case 't':
			out = append(out, '\t')
		case 'r':
			out = append(out, '\r')
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'u':
			if i+4 >= len(t) {
				return "", Failed("a text is cut off")
			}
			v, err := strconv.ParseUint(string(t[i+1:i+5]), 16, 16)
			if err != nil {
				return "", Failed("a text has a bad \\u")
			}
			out = append(out, string(rune(v))...)
			i += 4
		default:
			return "", Failed("a text has a bad escape")
		}
	}
	return string(out), nil
}

func (j JSON) trim() JSON {
	for len(j) > 0 && isSpace(j[0]) {
		j = j[1:]
	}
	for len(j) > 0 && isSpace(j[len(j)-1]) {
		j = j[:len(j)-1]
	}
	return j
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// child walks an object's or an array's entries.
func (j JSON) child(want string) JSON {
	j = j.trim()
	if len(j) < 2 || j[0] != '{' && j[0] != '[' {
		return nil
	}
	object := j[0] == '{'
	rest := j[1:].trim()
	for index := 0; len(rest) > 0 && rest[0] != '}' && rest[0] != ']'; index++ {
		key := strconv.Itoa(index)
		if object {
			name, after := value(rest, 0)
			text, err := name.Text()
			if after = after.trim(); err != nil || len(after) == 0 || after[0] != ':' {
				return nil
			}
			key, rest = text, after[1:].trim()
		}
		found, after := value(rest, 0)
		if len(found) == 0 {
			return nil
		}
		if key == want {
			return found
		}
		if rest = after.trim(); len(rest) > 0 && rest[0] == ',' {
			rest = rest[1:].trim()
		}
	}
	return nil
}

// value splits the first value off; both are empty when there is none.
func value(j JSON, depth int) (first, rest JSON) {
	switch {
	case len(j) == 0 || depth > maxJSONDepth:
		return nil, nil
	case j[0] == '"':
		for i := 1; i < len(j); i++ {
			switch j[i] {
			case '\\':
				i++
			case '"':
				return j[:i+1], j[i+1:]
			}
		}
		return nil, nil
	case j[0] == '{' || j[0] == '[':
		return nested(j, depth)
	}
	n := 0
	for n < len(j) && !isSpace(j[n]) && j[n] != ',' && j[n] != '}' && j[n] != ']' && j[n] != ':' {
		n++
	}
	return j[:n], j[n:]
}

// nested passes over an object or an array.
func nested(j JSON, depth int) (first, rest JSON) {
	rest = j[1:].trim()
	for len(rest) > 0 {
		switch rest[0] {
		case '}', ']':
			return j[:len(j)-len(rest)+1], rest[1:]
		case ',', ':':
			rest = rest[1:].trim()
			continue
		}
		one, after := value(rest, depth+1)
		if len(one) == 0 {
			return nil, nil
		}
		rest = after.trim()
	}
	return nil, nil
}
