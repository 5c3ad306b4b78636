// Package token keeps the bearer tokens of an agent's TCP interface: it makes them, stores their hashes in a text file, and finds
// out whose a presented token is.
// It is not an identity provider: a token is a name and a role, nothing expires, and a revoked token is a deleted line.
//
// # File
//
// One token on each line: a name, a role (viewer or operator) and the SHA-256 of the token. "#" begins a comment.
//
//	ci      operator  sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
//	grafana viewer    sha256:fcde2b2edba56bf408601fb721fe9b5c338d10ee429ea04fae5511b68fbf8fb9
package token

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/edgehold/edgehold/agents/api"
)

const (
	prefix     = "eh_"
	randomSize = 32
	maxTokens  = 1024
	maxLine    = 512
	maxName    = 64
)

// Token is a stored token: whose it is and the hash of its secret.
type Token struct {
	Name string
	Role api.Role
	Hash [sha256.Size]byte
}

// New makes a token from 256 random bits. The secret is shown to a person once; only its hash is stored.
func New(name string, role api.Role) (t Token, secret string, err error) {
	if err := checkName(name); err != nil {
		return Token{}, "", err
	}
	if err := checkRole(role); err != nil {
		return Token{}, "", err
	}
	random := make([]byte, randomSize)
	rand.Read(random) // never fails: crypto/rand ends the program instead
	secret = prefix + base64.RawURLEncoding.EncodeToString(random)
	return Token{Name: name, Role: role, Hash: sha256.Sum256([]byte(secret))}, secret, nil
}

// Line is the token's line in the file, newline included.
func (t Token) Line() string {
	return fmt.Sprintf("%s %s sha256:%s\n", t.Name, t.Role, hex.EncodeToString(t.Hash[:]))
}

// Set is every token that a server accepts.
type Set struct{ tokens []Token }

// Len returns the number of tokens.
func (s *Set) Len() int { return len(s.tokens) }

func (s *Set) has(name string) bool {
	return slices.ContainsFunc(s.tokens, func(t Token) bool { return t.Name == name })
}

// Lookup finds whose secret was presented. It compares hashes in constant time and always with every token, so that the
// time taken tells nothing about which one came close.
func (s *Set) Lookup(secret string) (Token, bool) {
	hash, found := sha256.Sum256([]byte(secret)), -1
	for i := range s.tokens {
		if subtle.ConstantTimeCompare(hash[:], s.tokens[i].Hash[:]) == 1 {
			found = i
		}
	}
	if found < 0 {
		return Token{}, false
	}
	return s.tokens[found], true
}

// Parse reads a token file. Every faulty line is reported at once.
func Parse(text []byte) (*Set, error) {
	var set Set
	var problems []error
	seen := map[string]int{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(make([]byte, maxLine), maxLine)
	number := 0
	for lines.Scan() {
		number++
		line, _, _ := strings.Cut(lines.Text(), "#")
		if strings.TrimSpace(line) == "" {
			continue
		}
		t, err := parseLine(line)
		if err == nil && seen[t.Name] > 0 {
			err = fmt.Errorf("the name %q stands on line %d already", t.Name, seen[t.Name])
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("line %d: %w", number, err))
			continue
		}
		seen[t.Name] = number
		set.tokens = append(set.tokens, t)
	}
	if err := lines.Err(); err != nil {
		problems = append(problems, fmt.Errorf("line %d: it is longer than %d bytes", number+1, maxLine))
	}
	if len(set.tokens) > maxTokens {
		problems = append(problems, fmt.Errorf("it holds %d tokens; at most %d are allowed", len(set.tokens), maxTokens))
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return &set, nil
}

func parseLine(line string) (Token, error) {
	fields := strings.Fields(line)
	if len(fields) != 3 {
		return Token{}, fmt.Errorf("it has %d fields, not name, role and hash", len(fields))
	}
	t := Token{Name: fields[0], Role: api.Role(fields[1])}
	if err := errors.Join(checkName(t.Name), checkRole(t.Role)); err != nil {
		return Token{}, err
	}
	digits, ok := strings.CutPrefix(fields[2], "sha256:")
	if !ok || len(digits) != hex.EncodedLen(len(t.Hash)) {
		return Token{}, errors.New("the hash is not sha256: and 64 hexadecimal digits")
	}
	if _, err := hex.Decode(t.Hash[:], []byte(digits)); err != nil {
		return Token{}, errors.New("the hash is not hexadecimal")
	}
	return t, nil
}

func checkName(name string) error {
	if name == "" || len(name) > maxName || strings.ContainsFunc(name, notNameRune) {
		return fmt.Errorf("the name %q is not 1 to %d letters, digits, points, dashes or underscores", name, maxName)
	}
	return nil
}

func notNameRune(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._-", r)
}

func checkRole(role api.Role) error {
	if role != api.RoleViewer && role != api.RoleOperator {
		return fmt.Errorf("the role %q is neither viewer nor operator", role)
	}
	return nil
}
