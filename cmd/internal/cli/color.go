package cli

const (
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	red    = "\x1b[31m"
	bold   = "\x1b[1m"
	plain  = "\x1b[0m"
)

// meaning is the colour of each word that says how something is.
var meaning = map[string]string{
	"active": green, "ok": green, "applied": green, "yes": green, "accepted": green, "done": green,
	"waiting": yellow, "warn": yellow, "clamped": yellow, "standby": yellow, "undone": yellow, "partly-undone": yellow, "discarded": yellow, "pending": yellow,
	"fail": red, "failed": red, "refused": red, "quarantined": red, "no": red,
}

func paint(word string) string {
	if color, ok := meaning[word]; ok {
		return color + word + plain
	}
	return word
}
