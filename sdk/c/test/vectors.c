/* Holds edgehold.h against wasmabi/testdata/vectors/flat.txt, which it reads from its standard input. It runs natively, so that
 * sanitizers watch: each message lies in memory of exactly its size. */
#include "../edgehold.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char out[1 << 16];
static size_t used;

static void token(const char *text) { used += (size_t)snprintf(out + used, sizeof out - used, "%s%s", used ? " " : "", text); }

static void number(uint64_t v) {
	char b[24];
	snprintf(b, sizeof b, "%" PRIu64, v);
	token(b);
}

static void bits(double v) {
	char b[24];
	snprintf(b, sizeof b, "%016" PRIx64, ehi_bits(v));
	token(b);
}

static void bytes(eh_string s) {
	char b[3] = "";
	token("s");
	for (uint32_t i = 0; i < s.length; i++) {
		snprintf(b, sizeof b, "%02x", (uint8_t)s.at[i]);
		used += (size_t)snprintf(out + used, sizeof out - used, "%s", b);
	}
}

static void names(ehi_items items) {
	ehi_reader r = ehi_walk(items);
	number(items.length);
	for (uint32_t i = 0; i < items.length; i++) bytes(ehi_name(&r));
}

static void numbers(const uint8_t *column, uint32_t n) {
	number(n);
	for (uint32_t i = 0; i < n; i++) number(ehi_u32(column + 4 * i));
}

static void floats(const uint8_t *column, uint32_t n) {
	number(n);
	for (uint32_t i = 0; i < n; i++) bits(ehi_f64(column + 8 * i));
}

static bool dump_observation(ehi_reader *r) {
	eh_observation o;
	char b[24];
	if (!ehi_read_observation(r, &o)) return false;
	number(o.seq);
	snprintf(b, sizeof b, "%" PRId64, o.time);
	token(b);
	number(o.trigger);
	numbers(o.ids, o.length);
	floats(o.values, o.length);
	numbers(o.ages_ms, o.length);
	numbers(o.knob_ids, o.knobs_length);
	floats(o.knob_values, o.knobs_length);
	return true;
}

static void dump_metrics(ehi_items items) {
	ehi_reader r = ehi_walk(items);
	ehi_metric_info m;
	number(items.length);
	for (uint32_t i = 0; i < items.length; i++) {
		ehi_read_metric(&r, &m);
		bytes(m.name);
		number(m.labels.length);
		ehi_reader labels = ehi_walk(m.labels);
		for (uint32_t l = 0; l < m.labels.length; l++) {
			ehi_exactly(&labels, 2);
			bytes(ehi_name(&labels));
			bytes(ehi_name(&labels));
		}
	}
}

static void dump_knobs(ehi_items items) {
	ehi_reader r = ehi_walk(items);
	eh_knob k;
	number(items.length);
	for (uint32_t i = 0; i < items.length; i++) {
		ehi_read_knob(&r, &k);
		bytes(k.name);
		bytes(k.unit);
		number(k.mechanism);
		bits(k.least);
		bits(k.most);
		floats(k.table, k.table_length);
		number(k.choices_length);
		for (uint32_t c = 0; c < k.choices_length; c++) bytes(eh_choice(&k, c));
	}
}

static bool dump_init(ehi_reader *r) {
	eh_setup *s = &ehi_setup;
	if (!ehi_read_setup(r, s)) return false;
	bytes(s->policy), bytes(s->version), bytes(s->scope), bytes(s->asset), bytes(s->layer);
	names(s->features);
	dump_metrics(s->metrics);
	names(s->mechanisms);
	dump_knobs(s->knobs);
	floats(s->parameters, s->parameters_length);
	names(s->parameter_names);
	bytes(s->context);
	return true;
}

static bool dump_migrate(ehi_reader *r) {
	uint32_t from;
	eh_string context;
	if (!ehi_read_migrate(r, &from, &context)) return false;
	number(from);
	bytes(context);
	return true;
}

/* The next values of a flat line. */
static char *at;

static uint64_t take_number(int base) { return strtoull(strtok(NULL, " "), NULL, base); }

static eh_string take_bytes(void) {
	char *text = strtok(NULL, " ") + 1;
	eh_string s = {at, (uint32_t)strlen(text) / 2};
	for (uint32_t i = 0; i < s.length; i++) {
		char b[3] = {text[2 * i], text[2 * i + 1], 0};
		*at++ = (char)strtoul(b, NULL, 16);
	}
	return s;
}

static uint32_t take_numbers(uint32_t *to) {
	uint32_t n = (uint32_t)take_number(10);
	for (uint32_t i = 0; i < n; i++) to[i] = (uint32_t)take_number(10);
	return n;
}

static uint32_t take_floats(double *to) {
	uint32_t n = (uint32_t)take_number(10);
	for (uint32_t i = 0; i < n; i++) to[i] = ehi_from_bits(take_number(16));
	return n;
}

static void take_text(ehi_text *t) {
	eh_string s = take_bytes();
	t->length = 0;
	ehi_say(t, s.at, s.length);
}

static void write_analysis(ehi_writer *w) {
	static eh_verdict v;
	uint64_t seq = take_number(10);
	v.act = take_number(10);
	v.next = (int64_t)take_number(10) * EH_MILLISECOND;
	take_text(&v.why);
	v.bounds = take_numbers(v.ids);
	take_floats(v.above);
	take_floats(v.below);
	ehi_put_analysis(w, seq, &v);
}

static void write_plan(ehi_writer *w) {
	static eh_plan p;
	uint64_t seq = take_number(10);
	take_text(&p.why);
	take_numbers(p.mechanisms);
	take_numbers(p.verbs);
	p.rows = take_numbers(p.knobs);
	take_floats(p.values);
	take_numbers(p.lease_ms);
	ehi_put_plan(w, seq, &p);
}

static void write_error(ehi_writer *w) {
	eh_string code = take_bytes(), message;
	*at++ = 0;
	message = take_bytes();
	ehi_put_error(w, code.at, message, take_number(10));
}

/* Encodes what the line holds, into memory of every size up to the one needed. */
static bool encode(const char *message, const char *line, const uint8_t *want, uint32_t length) {
	for (uint32_t capacity = 0; capacity <= length; capacity++) {
		char *copy = strdup(line), *scratch = malloc(strlen(line) + 1);
		uint8_t *memory = malloc(capacity ? capacity : 1);
		ehi_writer w = {memory, 0, capacity, false};
		bool well;
		at = scratch;
		for (int i = 0; i < 3; i++) strtok(i ? NULL : copy, " ");
		if (!strcmp(message, "analysis")) write_analysis(&w);
		if (!strcmp(message, "plan")) write_plan(&w);
		if (!strcmp(message, "error")) write_error(&w);
		well = capacity < length ? w.full : !w.full && w.length == length && !memcmp(memory, want, length);
		free(memory), free(scratch), free(copy);
		if (!well) return false;
	}
	return true;
}

static bool check(char *line) {
	char message[32], name[64], *hex = strdup(line), *copy = strdup(line);
	const char *want;
	uint32_t length;
	uint8_t *b;
	bool well = true;
	sscanf(line, "%31s %63s", message, name);
	hex = strcpy(hex, line + strlen(message) + strlen(name) + 2);
	want = strchr(hex, ' ') + 1;
	length = (uint32_t)(want - hex - 1) / 2;
	b = malloc(length ? length : 1);
	for (uint32_t i = 0; i < length; i++) {
		char digits[3] = {hex[2 * i], hex[2 * i + 1], 0};
		b[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	used = 0;
	out[0] = 0;
	ehi_reader r = ehi_read(b, length);
	bool (*dump)(ehi_reader *) = !strcmp(message, "observation") ? dump_observation : !strcmp(message, "init") ? dump_init : !strcmp(message, "migrate") ? dump_migrate : NULL;
	if (dump)
		well = dump(&r) ? !strcmp(out, want) : !strcmp(want, "refused");
	else if (strcmp(want, "refused"))
		well = encode(message, copy, b, length);
	if (!well) printf("%s differs:\n got %s\nwant %s\n", name, out, want);
	free(b), free(hex), free(copy);
	return well;
}

int main(void) {
	static char line[1 << 16];
	int lines = 0, wrong = 0;
	for (; fgets(line, sizeof line, stdin); lines++) {
		line[strcspn(line, "\n")] = 0;
		wrong += !check(line);
	}
	printf("%d vectors, %d wrong\n", lines, wrong);
	return wrong || lines < 20;
}
