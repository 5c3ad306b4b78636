package proxy

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/edgehold/edgehold/mechanisms"
	"github.com/edgehold/edgehold/sdf/mqtt"
)

// The shell of D3.3, 6.3.1.2: commands are written to the first element of Data, answers come out of the second (object 19).
const (
	shellObject   = "BinaryAppDataContainer"
	shellProperty = "Data"
	commandAt     = 0
	answerAt      = 1

	maxAnswer = 8 << 10 // bytes
	maxKnobs  = 64      // of one device
	maxWord   = 64      // bytes of a name or a value
)

// shellTopic is where both the command and its answer are.
func shellTopic(thing string) mqtt.Topic {
	return mqtt.Topic{Thing: thing, Object: shellObject, Label: mqtt.At(0), Affordance: mqtt.Property, Name: shellProperty}
}

var (
	errRefused    = errors.New("the device says")
	errTalkedOver = errors.New("somebody else speaks to the same shell")
)

// sayings is how often a command is said before others have the shell to themselves.
const sayings = 3

// command has the device's shell do something, and gives what it says, with d.shell held: there is one place for the answer, and what is known of the knobs is of
// the command that was said last. Whoever else uses that place, such as a person at the command line, is noticed, and the command said again: each may be said twice.
func (d *device) command(ctx context.Context, words ...string) (text string, err error) {
	client, err := d.proxy.asking()
	if err != nil {
		return "", err
	}
	line := "mlsysops knobs " + strings.Join(words, " ")
	for range sayings {
		if text, err = d.say(ctx, client, line); !errors.Is(err, errTalkedOver) {
			break
		}
	}
	if err != nil {
		return "", err
	}
	if why, failed := strings.CutPrefix(text, "error: "); failed {
		return "", fmt.Errorf("%q on %s: %w: %s", line, d.endpoint, errRefused, strings.TrimSpace(why))
	}
	return text, nil
}

func (d *device) say(ctx context.Context, client *mqtt.Client, line string) (string, error) {
	data := shellTopic(d.endpoint)
	to := data
	to.Element = mqtt.At(commandAt)
	if _, err := client.Do(ctx, mqtt.Request{Topic: to, Operation: mqtt.Post, Data: []byte(line)}); err != nil {
		return "", err
	}
	r, err := client.Do(ctx, mqtt.Request{Topic: data, Operation: mqtt.Get})
	if err != nil {
		return "", err
	}
	v, _ := r.Objects.Property(data)
	if said := asked(v); said != "" && said != line {
		return "", fmt.Errorf("%q on %s: %w", line, d.endpoint, errTalkedOver)
	}
	text, err := answer(v)
	if err != nil {
		return "", fmt.Errorf("%q on %s: %w", line, d.endpoint, err)
	}
	return text, nil
}

// asked is the command that an answer came with, "" where a device or gateway does not tell.
func asked(v any) string {
	var first any
	switch v := v.(type) {
	case []any:
		if len(v) > 1 {
			first = v[commandAt]
		}
	case map[string]any:
		first = v[strconv.Itoa(commandAt)]
	}
	text, err := answer(first)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(text)
}

// answer is the text in the second element, whether the gateway sends it alone, or in an array or map of the elements.
func answer(v any) (string, error) {
	switch v := v.(type) {
	case []byte:
		return bounded(string(v))
	case string: // byte-string in JSON (RFC 9880, 4.7)
		if raw, err := base64.RawURLEncoding.DecodeString(v); err == nil {
			return bounded(string(raw))
		}
		return bounded(v)
	case []any:
		if len(v) > 0 {
			return answer(v[len(v)-1])
		}
	case map[string]any:
		if one, ok := v[strconv.Itoa(answerAt)]; ok {
			return answer(one)
		}
	}
	return "", errors.New("it gives no answer")
}

func bounded(s string) (string, error) {
	if len(s) > maxAnswer {
		return "", fmt.Errorf("an answer of %d bytes", len(s))
	}
	return strings.ToValidUTF8(s, "?"), nil
}

// table reads lines of cells that are parted by bars, without head and rule.
func table(s string) (rows [][]string) {
	for line := range strings.Lines(s) {
		cells := strings.Split(line, "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if len(cells) < 2 || cells[0] == "" || strings.HasPrefix(cells[0], "Knob ID") || len(cells[0]) > maxWord {
			continue
		}
		rows = append(rows, cells)
	}
	return rows
}

// values reads the answer to "list", "get" and "set".
func values(s string) map[string]string {
	m := map[string]string{}
	for _, row := range table(s) {
		if len(row[1]) <= maxWord && len(m) < maxKnobs && nameable(row[0]) && row[1] != "" && printable(row[1]) {
			m[row[0]] = row[1]
		}
	}
	return m
}

// knob is one of a device's.
type knob struct {
	Name    string              `json:"name"`
	Kind    mechanisms.KnobKind `json:"kind"`
	Choices []string            `json:"choices,omitempty"`
	Min     float64             `json:"min,omitempty"`
	Max     float64             `json:"max,omitempty"`
	Unit    string              `json:"unit,omitempty"`

	value string // as last read; "" if never
}

// options reads the answer to "options": Knob ID | Values | Default | Unit.
func options(s string) (list []knob) {
	for _, row := range table(s) {
		if k, ok := positions(row[0], row[1]); ok && len(list) < maxKnobs && nameable(k.Name) {
			if len(row) > 3 && len(row[3]) <= maxWord && printable(row[3]) {
				k.Unit = row[3]
			}
			list = append(list, k)
		}
	}
	return list
}

// positions reads what a knob takes: "LOW,MEDIUM,HIGH", or "1..3600".
func positions(name, text string) (knob, bool) {
	if low, high, ok := strings.Cut(text, ".."); ok {
		lo, err := strconv.ParseFloat(low, 64)
		hi, err2 := strconv.ParseFloat(high, 64)
		return knob{Name: name, Kind: mechanisms.KindNumber, Min: lo, Max: hi}, err == nil && err2 == nil && finite(lo) && finite(hi) && lo <= hi
	}
	choices := strings.Split(text, ",")
	for i := range choices {
		choices[i] = strings.TrimSpace(choices[i])
	}
	bad := slices.ContainsFunc(choices, func(c string) bool { return c == "" || len(c) > maxWord || strings.Contains(c, " ") || !printable(c) })
	return knob{Name: name, Kind: mechanisms.KindChoice, Choices: choices}, !bad
}

// nameable says whether a name can stand in a command and in a policy's manifest.
func nameable(name string) bool {
	return name != "" && !strings.ContainsAny(name, "*?[\\ /") && printable(name)
}

// printable says whether a text can be shown as it is: devices are strangers, and terminals obey what they read.
func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

func finite(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }

// refresh reads the knobs, and which they are if that is not known.
func (d *device) refresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, d.proxy.config.Patience)
	defer cancel()
	if d.shell.take(ctx) != nil {
		return
	}
	defer d.shell.leave()
	list, err := d.command(ctx, "list")
	d.note(err)
	if err != nil {
		return
	}
	now := values(list)
	d.mu.Lock()
	known := d.settled && d.knows(now)
	d.mu.Unlock()
	if known {
		d.learn(now, nil, true)
		return
	}
	text, err := d.command(ctx, "options")
	if err != nil && !errors.Is(err, errRefused) {
		return // what they take is asked next time
	}
	d.learn(now, options(text), false) // of one that only lists there is no text
}

// knows says whether the names are those that are known. With mu held.
func (d *device) knows(now map[string]string) bool {
	if len(d.knobs) != len(now) {
		return false
	}
	for i := range d.knobs {
		if _, ok := now[d.knobs[i].Name]; !ok {
			return false
		}
	}
	return true
}

// learn takes what the device says of its knobs.
func (d *device) learn(now map[string]string, told []knob, known bool) {
	d.mu.Lock()
	if !known {
		d.knobs, d.settled = d.proxy.config.merge(now, told), true
	}
	for i := range d.knobs {
		d.knobs[i].value = now[d.knobs[i].Name]
	}
	d.read = d.proxy.config.Now()
	d.mu.Unlock()
	if !known {
		d.proxy.save()
	}
}

// merge says what the knobs are of which a device lists the values: as it told, or else as the configuration has it. A knob of which nobody tells is a choice of one.
func (c *Config) merge(now map[string]string, told []knob) (list []knob) {
	for name, value := range now {
		i := slices.IndexFunc(told, func(k knob) bool { return k.Name == name })
		switch {
		case i >= 0:
			list = append(list, told[i])
		case len(c.Choices[name]) > 0:
			list = append(list, knob{Name: name, Kind: mechanisms.KindChoice, Choices: c.Choices[name]})
		default:
			list = append(list, knob{Name: name, Kind: mechanisms.KindChoice, Choices: []string{value}})
		}
	}
	slices.SortFunc(list, func(a, b knob) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// patience of the driver's own requests: less than what the supervisor has with a driver.
const patience = 1500 * time.Millisecond
