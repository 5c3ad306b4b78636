package token

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

const maxFile = maxTokens * maxLine

// File is a token file that is read again whenever it changed, so that deleting a line revokes a token at once.
type File struct {
	path string

	mu      sync.Mutex
	set     *Set
	size    int64
	changed time.Time
}

// Open reads a token file. It refuses one that others may write, and one without tokens.
func Open(path string) (*File, error) {
	f := &File{path: path}
	if _, err := f.current(); err != nil {
		return nil, err
	}
	return f, nil
}

// Lookup finds whose secret was presented. If the file can't be read any more, nobody is let in and the cause returned.
func (f *File) Lookup(secret string) (Token, bool, error) {
	set, err := f.current()
	if err != nil {
		return Token{}, false, err
	}
	t, ok := set.Lookup(secret)
	return t, ok, nil
}

// Append adds a token to a file, which is created for its owner alone if there is none. A name that is taken is
// refused.
func Append(path string, t Token) error {
	err := appendTo(path, t)
	if err == nil {
		return nil
	}
	own := (*Error)(nil)
	if !errors.As(err, &own) {
		own = explain(path, err)
	}
	own.What = "add token " + t.Name + " to " + path
	return own
}

func appendTo(path string, t Token) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxFile))
	if err != nil {
		return err
	}
	before, err := Parse(text)
	if err != nil {
		return &Error{Code: "token.bad-file", Why: err.Error(), Hint: "mend those lines of " + path, Err: err}
	}
	if before.has(t.Name) {
		return &Error{Code: "token.name-taken", Why: "it holds one of that name already", Hint: "choose another name, or delete its line in " + path}
	}
	if before.Len() >= maxTokens {
		return &Error{Code: "token.too-many", Why: fmt.Sprintf("it holds %d tokens, which is the most", before.Len()), Hint: "delete the lines that nobody needs in " + path}
	}
	line := t.Line()
	if len(text) > 0 && text[len(text)-1] != '\n' {
		line = "\n" + line
	}
	if _, err := file.WriteString(line); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	return file.Close()
}

func (f *File) current() (*Set, error) {
	info, err := os.Stat(f.path)
	if err != nil {
		return nil, fmt.Errorf("read token file: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.set != nil && info.Size() == f.size && info.ModTime().Equal(f.changed) {
		return f.set, nil
	}
	if info.Mode().Perm()&0o002 != 0 {
		return nil, fmt.Errorf("read token file %s: everybody may write it; run chmod o-w %s", f.path, f.path)
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("read token file %s: it is larger than %d bytes", f.path, maxFile)
	}
	text, err := os.ReadFile(f.path)
	if err != nil {
		return nil, fmt.Errorf("read token file: %w", err)
	}
	set, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("read token file %s: %w", f.path, err)
	}
	if set.Len() == 0 {
		return nil, fmt.Errorf("read token file %s: it holds no token", f.path)
	}
	f.set, f.size, f.changed = set, info.Size(), info.ModTime()
	return set, nil
}
