package decision

import (
	"github.com/edgehold/edgehold/agents"
)

// Explanation tells a person what was decided and why.
type Explanation struct {
	Decision agents.Decision
	Summary  string // one sentence
	Sections []Section
}

// Section is a part of an explanation, under a heading that is a question.
type Section struct {
	Heading   string
	Sentences []string
}
