/* edgehold.h: what the author of an Edgehold policy in C includes.
 *
 * C99, no library, no allocation. It is neither a client of the daemon nor a way to do input and output: a policy gets an
 * observation and answers with a verdict and a plan. A policy is one source file:
 *
 *     #include "edgehold.h"
 *
 *     static struct { eh_metric load; eh_knobs limits; } self;
 *
 *     static void initialize(const eh_setup *s) {
 *         self.load = eh_find_metric(s, "node_load1");
 *         self.limits = eh_find_knobs(s, "CPUFrequency", "policy?/max_frequency");
 *     }
 *
 *     static void analyze(const eh_observation *o, eh_verdict *v) {
 *         double load;
 *         if (eh_value(o, self.load, &load) && load > 2)
 *             eh_act(v, eh_t("load "), eh_n(load), eh_t(" is above 2"));
 *         else
 *             eh_stay(v, eh_t("the load is low"));
 *     }
 *
 *     static void plan(const eh_observation *o, eh_plan *p) {
 *         (void)o;
 *         eh_for(eh_set_max(p, self.limits), 30 * EH_SECOND);
 *     }
 *
 *     EH_POLICY(.initialize = initialize, .analyze = analyze, .plan = plan)
 *
 * The order of calls is: initialize; load, if something was saved; analyze; plan, if the verdict says so; save. That is one
 * episode. The host runs EVERY EPISODE IN A FRESH INSTANCE: variables start over each time, and only what save puts into the
 * state is there at the next load. Time is the observation's and stands still.
 *
 * A function that can't do its work calls eh_fail; nothing is applied then, and the host counts it against this version. A look-up
 * that finds nothing does so by itself, so its result needs no check.
 *
 * The names that people use have the prefix eh_; what begins with ehi_ is this file's own business.
 */
#ifndef EDGEHOLD_H
#define EDGEHOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define EHI static __attribute__((unused)) /* not inline: clang takes that for a wish, and the module doubles in size */
#else
#define EHI static inline
#endif

/* ---- What a policy may change before it includes this file ------------------------------------------------------- */

#ifndef EH_WINDOW
#define EH_WINDOW 65536 /* bytes of each window; the host sends no request, and takes no response, that is longer */
#endif
#ifndef EH_MAX_BOUNDS
#define EH_MAX_BOUNDS 3072 /* wake bounds of one verdict; more do not fit a window of 64 KiB */
#endif
#ifndef EH_MAX_ROWS
#define EH_MAX_ROWS 2720 /* settings of one plan; more do not fit a window of 64 KiB */
#endif
#ifndef EH_MAX_ENTRIES
#define EH_MAX_ENTRIES 1024 /* values of the state */
#endif
#ifndef EH_STATE
#define EH_STATE 65536 /* bytes that save may put between two loads */
#endif

/* ---- Types ------------------------------------------------------------------------------------------------------ */

/* Durations and times are nanoseconds; times count from the Unix epoch. */
#define EH_MILLISECOND INT64_C(1000000)
#define EH_SECOND INT64_C(1000000000)
#define EH_MINUTE (60 * EH_SECOND)
#define EH_HOUR (60 * EH_MINUTE)
#define EH_NEVER INT64_MIN   /* the time of something that has not happened */
#define EH_FOREVER INT64_MAX /* the age of a metric without a value */

/* A text: not ended by a zero. */
typedef struct {
	const char *at;
	uint32_t length;
} eh_string;

/* Handles, from eh_find_metric and its like. A handle that is all zeros is none. */
typedef struct {
	uint32_t number; /* the id plus one */
} eh_metric;

typedef struct {
	uint32_t number; /* the id plus one */
} eh_mechanism;

/* The granted knobs of a mechanism whose names match a pattern. Nothing is copied, so there may be any number. */
typedef struct {
	eh_mechanism mechanism;
	const char *pattern;
} eh_knobs;

/* One granted knob. */
typedef struct {
	eh_string name, unit;
	uint32_t number; /* the id plus one */
	uint32_t mechanism;
	double least, most;      /* the ends of its range; least <= most, or it has none */
	const uint8_t *table;    /* for eh_table */
	uint32_t table_length;   /* how many values it can take, 0: any in the range */
	const uint8_t *choices;  /* for eh_choice */
	uint32_t choices_length; /* how many names it can take, 0: it is a number */
} eh_knob;

typedef struct eh_part eh_part;
typedef struct ehi_text ehi_text;

/* A part of a text for people: make it with eh_t, eh_n and the others. It brings what writes it along, so that a module holds only
 * what its policy says. */
struct eh_part {
	void (*say)(ehi_text *, const eh_part *);
	uint32_t length;
	union {
		const char *text;
		double number;
		int64_t whole;
	} of;
};

typedef struct ehi_reader ehi_reader;
typedef struct eh_setup eh_setup;
typedef struct eh_observation eh_observation;
typedef struct eh_verdict eh_verdict;
typedef struct eh_plan eh_plan;
typedef struct eh_state eh_state;

/* The functions of a policy. Only the first three are needed. */
typedef struct {
	void (*initialize)(const eh_setup *); /* resolves what the policy needs by name */
	void (*analyze)(const eh_observation *, eh_verdict *);
	void (*plan)(const eh_observation *, eh_plan *);
	void (*save)(eh_state *); /* puts what the next episode needs */
	void (*load)(const eh_state *);
	void (*migrate)(uint32_t from, eh_state *); /* rewrites a state of an older schema into today's */
} eh_policy;

/* ---- Bytes ------------------------------------------------------------------------------------------------------ */

EHI uint32_t ehi_u32(const uint8_t *b) {
	return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

EHI uint64_t ehi_u64(const uint8_t *b) { return (uint64_t)ehi_u32(b + 4) << 32 | ehi_u32(b); }

EHI double ehi_from_bits(uint64_t bits) {
	union {
		uint64_t bits;
		double number;
	} u;
	u.bits = bits;
	return u.number;
}

EHI uint64_t ehi_bits(double number) {
	union {
		uint64_t bits;
		double number;
	} u;
	u.number = number;
	return u.bits;
}

EHI double ehi_f64(const uint8_t *b) { return ehi_from_bits(ehi_u64(b)); }

EHI void ehi_copy(void *to, const void *from, uint32_t length) {
	uint8_t *t = (uint8_t *)to;
	const uint8_t *f = (const uint8_t *)from;
	while (length--) *t++ = *f++;
}

EHI uint32_t ehi_length(const char *text) {
	uint32_t n = 0;
	while (text[n]) n++;
	return n;
}

EHI eh_string ehi_string(const char *text) {
	eh_string s = {text, ehi_length(text)};
	return s;
}

EHI bool ehi_same(eh_string s, const char *text) {
	uint32_t i = 0;
	for (; i < s.length; i++)
		if (!text[i] || s.at[i] != text[i]) return false;
	return !text[i];
}

/* Whether the bytes are UTF-8: no overlong forms, no surrogates, nothing beyond U+10FFFF. */
EHI bool ehi_utf8(const uint8_t *b, uint32_t length) {
	uint32_t i = 0;
	while (i < length) {
		uint8_t first = b[i++], low = 0x80, high = 0xbf;
		uint32_t more = first < 0x80 ? 0 : first < 0xc2 ? 9 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : first < 0xf5 ? 3 : 9;
		if (first == 0xe0) low = 0xa0;
		if (first == 0xed) high = 0x9f;
		if (first == 0xf0) low = 0x90;
		if (first == 0xf4) high = 0x8f;
		if (more > length - i) return false;
		for (; more; more--, low = 0x80, high = 0xbf, i++)
			if (b[i] < low || b[i] > high) return false;
	}
	return true;
}

/* ---- Reading CBOR ----------------------------------------------------------------------------------------------- */

enum { EHI_UINT = 0 << 5, EHI_INT = 1 << 5, EHI_BYTES = 2 << 5, EHI_TEXT = 3 << 5, EHI_ARRAY = 4 << 5, EHI_MAP = 5 << 5, EHI_TAG = 6 << 5, EHI_OTHER = 7 << 5 };
enum { EHI_FALSE = 0xf4, EHI_TRUE = 0xf5, EHI_F16 = 0xf9, EHI_F32 = 0xfa, EHI_F64 = 0xfb };
enum { EHI_COLUMN32 = 70, EHI_COLUMN64 = 86 };

/* The bounds of wasmabi/bounds.go that a policy meets. */
enum {
	EHI_MAX_METRICS = 4096, EHI_MAX_KNOBS = 4096, EHI_MAX_MECHANISMS = 64, EHI_MAX_PARAMETERS = 256, EHI_MAX_LABELS = 32,
	EHI_MAX_CHOICES = 256, EHI_MAX_FEATURES = 64, EHI_MAX_NAME = 256, EHI_MAX_WHY = 4096, EHI_MAX_CONTEXT = 65536,
	EHI_MAX_KEY = 64, EHI_MAX_DEPTH = 8
};

/* Walks one message. The first failure sticks and moves it to the end, so that callers ask once. */
struct ehi_reader {
	const uint8_t *at, *end;
	bool bad;
};

EHI ehi_reader ehi_read(const uint8_t *b, uint32_t length) {
	ehi_reader r = {b, b + length, false};
	return r;
}

EHI uint32_t ehi_left(const ehi_reader *r) { return (uint32_t)(r->end - r->at); }

EHI void ehi_bad(ehi_reader *r) {
	r->bad = true;
	r->at = r->end;
}

EHI bool ehi_finish(ehi_reader *r) {
	if (!r->bad && r->at < r->end) ehi_bad(r);
	return !r->bad;
}

/* Reads any head, and refuses one that could be shorter. */
static uint8_t ehi_head(ehi_reader *r, uint64_t *value) {
	uint8_t major, info;
	uint64_t v = 0, least;
	uint32_t size, i;
	*value = 0;
	if (r->at == r->end) {
		ehi_bad(r);
		return EHI_OTHER;
	}
	major = *r->at & 0xe0;
	info = *r->at & 0x1f;
	if (info < 24) {
		r->at++;
		*value = info;
		return major;
	}
	if (info > 27) {
		ehi_bad(r);
		return major;
	}
	size = 1u << (info - 24);
	if (ehi_left(r) <= size) {
		ehi_bad(r);
		return major;
	}
	for (i = 1; i <= size; i++) v = v << 8 | r->at[i];
	least = size == 1 ? 24 : UINT64_C(1) << (size * 4);
	if (v < least) {
		ehi_bad(r);
		return major;
	}
	r->at += 1 + size;
	*value = v;
	return major;
}

EHI uint64_t ehi_expect(ehi_reader *r, uint8_t major) {
	const uint8_t *at = r->at;
	uint64_t v;
	if (ehi_head(r, &v) == major) return v;
	if (!r->bad) {
		r->at = at;
		ehi_bad(r);
	}
	return 0;
}

EHI uint32_t ehi_uint32(ehi_reader *r) {
	uint64_t v = ehi_expect(r, EHI_UINT);
	if (v > UINT32_MAX) {
		ehi_bad(r);
		return 0;
	}
	return (uint32_t)v;
}

EHI int64_t ehi_int64(ehi_reader *r) {
	uint64_t v;
	uint8_t major = ehi_head(r, &v);
	if (major != EHI_UINT && major != EHI_INT) {
		ehi_bad(r);
		return 0;
	}
	if (v > INT64_MAX) {
		ehi_bad(r);
		return 0;
	}
	return major == EHI_INT ? -1 - (int64_t)v : (int64_t)v;
}

/* The value of a binary16. */
EHI double ehi_half(uint32_t h) {
	uint64_t sign = (uint64_t)(h >> 15) << 63;
	uint32_t exponent = h >> 10 & 0x1f, fraction = h & 0x3ff;
	if (exponent == 0) {
		double v = (double)fraction / 16777216;
		return sign ? -v : v;
	}
	if (exponent == 31) return ehi_from_bits(sign | UINT64_C(0x7ff) << 52 | (uint64_t)fraction << 42);
	return ehi_from_bits(sign | (uint64_t)(exponent + 1008) << 52 | (uint64_t)fraction << 42);
}

/* Finds the binary16 of the same value; reports whether there is one. NaN has none here: it has its own rule. */
EHI bool ehi_to_half(double v, uint32_t *half) {
	uint64_t bits = ehi_bits(v), fraction = bits & UINT64_C(0xfffffffffffff);
	int32_t exponent = (int32_t)(bits >> 52 & 0x7ff) - 1023;
	uint32_t sign = (uint32_t)(bits >> 48) & 0x8000, shift = 42;
	*half = sign;
	if (v == 0) return true;
	if (exponent == 1024) {
		*half = sign | 0x7c00;
		return fraction == 0;
	}
	if (exponent > 15 || exponent < -24) return false;
	if (exponent < -14) {
		fraction |= UINT64_C(1) << 52;
		shift = (uint32_t)(42 - 14 - exponent);
		*half = sign | (uint32_t)(fraction >> shift);
	} else {
		*half = sign | (uint32_t)(exponent + 15) << 10 | (uint32_t)(fraction >> 42);
	}
	return (fraction & ((UINT64_C(1) << shift) - 1)) == 0;
}

EHI double ehi_from_single(uint32_t bits) {
	union {
		uint32_t bits;
		float number;
	} u;
	u.bits = bits;
	return (double)u.number;
}

/* Reads a float of any width, and refuses one that could be shorter, and NaN. */
static double ehi_float(ehi_reader *r) {
	uint32_t size = 0, half, i;
	uint64_t bits = 0;
	double v;
	bool longer = false;
	if (r->at < r->end && *r->at >= EHI_F16 && *r->at <= EHI_F64) size = 2u << (*r->at - EHI_F16);
	if (!size || ehi_left(r) <= size) {
		ehi_bad(r);
		return 0;
	}
	for (i = 1; i <= size; i++) bits = bits << 8 | r->at[i];
	if (size == 2) {
		v = ehi_half((uint32_t)bits);
	} else if (size == 4) {
		v = ehi_from_single((uint32_t)bits);
		longer = ehi_to_half(v, &half);
	} else {
		v = ehi_from_bits(bits);
		longer = (double)(float)v == v;
	}
	if (v != v)
		ehi_bad(r);
	else if (longer)
		ehi_bad(r);
	else
		r->at += 1 + size;
	return v;
}

/* Reads the content of a text or byte string; it stays where it is. */
static eh_string ehi_raw(ehi_reader *r, uint8_t major, uint32_t most) {
	eh_string s = {NULL, 0};
	uint64_t n = ehi_expect(r, major);
	if (n > ehi_left(r)) {
		ehi_bad(r);
	} else if (n > most) {
		ehi_bad(r);
	} else if (major == EHI_TEXT && !ehi_utf8(r->at, (uint32_t)n)) {
		ehi_bad(r);
	} else {
		s.at = (const char *)r->at;
		s.length = (uint32_t)n;
		r->at += n;
	}
	return s;
}

EHI eh_string ehi_name(ehi_reader *r) { return ehi_raw(r, EHI_TEXT, EHI_MAX_NAME); }

/* Reads a typed array of RFC 8746, whose elements stay where they are, and returns how many there are. */
static uint32_t ehi_column(ehi_reader *r, uint8_t tag, uint32_t width, uint32_t most, const uint8_t **column) {
	eh_string raw;
	*column = NULL;
	if (ehi_left(r) < 3 || r->at[0] != (EHI_TAG | 24) || r->at[1] != tag) {
		ehi_bad(r);
		return 0;
	}
	r->at += 2;
	raw = ehi_raw(r, EHI_BYTES, most * width);
	if (raw.length % width) {
		ehi_bad(r);
		return 0;
	}
	*column = (const uint8_t *)raw.at;
	return raw.length / width;
}

EHI uint32_t ehi_column32(ehi_reader *r, uint32_t most, const uint8_t **column) {
	return ehi_column(r, EHI_COLUMN32, 4, most, column);
}

/* As ehi_column32; the only NaN is 0x7ff8000000000000. */
static uint32_t ehi_column64(ehi_reader *r, uint32_t most, const uint8_t **column) {
	uint32_t i, n = ehi_column(r, EHI_COLUMN64, 8, most, column);
	for (i = 0; i < n; i++) {
		double v = ehi_f64(*column + 8 * i);
		if (v != v && ehi_bits(v) != UINT64_C(0x7ff8000000000000)) {
			ehi_bad(r);
			return 0;
		}
	}
	return n;
}

EHI void ehi_exactly(ehi_reader *r, uint32_t elements) {
	if (ehi_expect(r, EHI_ARRAY) != elements) ehi_bad(r);
}

EHI uint32_t ehi_list(ehi_reader *r, uint32_t most) {
	uint64_t n = ehi_expect(r, EHI_ARRAY);
	if (n > most || n > ehi_left(r)) {
		ehi_bad(r);
		return 0;
	}
	return (uint32_t)n;
}

/* Walks a map, and refuses keys that are out of order or repeated. */
typedef struct {
	ehi_reader *r;
	uint64_t left;
	eh_string key;
} ehi_keys;

EHI ehi_keys ehi_open(ehi_reader *r) {
	ehi_keys k = {r, ehi_expect(r, EHI_MAP), {NULL, 0}};
	if (k.left > ehi_left(r) / 2) {
		ehi_bad(r);
		k.left = 0;
	}
	return k;
}

/* The order of the encoded keys: a shorter one comes first. */
EHI bool ehi_before(eh_string a, eh_string b) {
	uint32_t i;
	if (a.length != b.length) return a.length < b.length;
	for (i = 0; i < a.length; i++)
		if (a.at[i] != b.at[i]) return (uint8_t)a.at[i] < (uint8_t)b.at[i];
	return false;
}

static bool ehi_next(ehi_keys *k) {
	eh_string key;
	if (!k->left || k->r->bad) return false;
	k->left--;
	key = ehi_raw(k->r, EHI_TEXT, EHI_MAX_KEY);
	if (k->r->bad) return false;
	if (!key.length || (k->key.length && !ehi_before(k->key, key))) {
		ehi_bad(k->r);
		return false;
	}
	k->key = key;
	return true;
}

/* Passes over one value of any kind. */
static void ehi_skip(ehi_reader *r, uint32_t depth) {
	uint64_t n;
	uint8_t major;
	if (depth == EHI_MAX_DEPTH) {
		ehi_bad(r);
		return;
	}
	if (r->at < r->end && *r->at >= EHI_F16 && *r->at <= EHI_F64) {
		uint32_t size = 1 + (2u << (*r->at - EHI_F16));
		if (ehi_left(r) < size)
			ehi_bad(r);
		else
			r->at += size;
		return;
	}
	major = ehi_head(r, &n);
	if (major == EHI_BYTES || major == EHI_TEXT) {
		if (n > ehi_left(r))
			ehi_bad(r);
		else
			r->at += n;
	} else if (major == EHI_ARRAY || major == EHI_MAP) {
		for (; n && !r->bad; n--) {
			if (major == EHI_MAP) ehi_skip(r, depth + 1);
			ehi_skip(r, depth + 1);
		}
	} else if (major == EHI_TAG) {
		ehi_skip(r, depth + 1);
	}
}

/* ---- Writing CBOR ----------------------------------------------------------------------------------------------- */

/* Writes to memory of a fixed size; what does not fit is counted and not written. */
typedef struct {
	uint8_t *at;
	uint32_t length, capacity;
	bool full;
} ehi_writer;

EHI void ehi_byte(ehi_writer *w, uint32_t b) {
	if (w->length < w->capacity)
		w->at[w->length++] = (uint8_t)b;
	else
		w->full = true;
}

EHI void ehi_put(ehi_writer *w, const void *from, uint32_t length) {
	if (length > w->capacity - w->length) {
		w->full = true;
		return;
	}
	ehi_copy(w->at + w->length, from, length);
	w->length += length;
}

EHI void ehi_big(ehi_writer *w, uint64_t v, uint32_t size) {
	while (size--) ehi_byte(w, (uint32_t)(v >> 8 * size) & 0xff);
}

static void ehi_put_head(ehi_writer *w, uint8_t major, uint64_t v) {
	uint32_t size = v < 24 ? 0 : v < 256 ? 1 : v < 65536 ? 2 : v < UINT64_C(1) << 32 ? 4 : 8;
	ehi_byte(w, major | (size == 0 ? (uint32_t)v : size == 1 ? 24u : size == 2 ? 25u : size == 4 ? 26u : 27u));
	ehi_big(w, v, size);
}

EHI void ehi_put_int(ehi_writer *w, int64_t v) {
	if (v < 0)
		ehi_put_head(w, EHI_INT, (uint64_t)(-1 - v));
	else
		ehi_put_head(w, EHI_UINT, (uint64_t)v);
}

EHI void ehi_put_text(ehi_writer *w, eh_string s) {
	ehi_put_head(w, EHI_TEXT, s.length);
	ehi_put(w, s.at, s.length);
}

/* Writes the shortest of the three floats that keeps the value. */
EHI void ehi_put_float(ehi_writer *w, double v) {
	uint32_t half;
	if (v != v) {
		ehi_byte(w, EHI_F16);
		ehi_big(w, 0x7e00, 2);
	} else if (ehi_to_half(v, &half)) {
		ehi_byte(w, EHI_F16);
		ehi_big(w, half, 2);
	} else if ((double)(float)v == v) {
		union {
			uint32_t bits;
			float number;
		} u;
		u.number = (float)v;
		ehi_byte(w, EHI_F32);
		ehi_big(w, u.bits, 4);
	} else {
		ehi_byte(w, EHI_F64);
		ehi_big(w, ehi_bits(v), 8);
	}
}

EHI void ehi_put_little(ehi_writer *w, uint64_t v, uint32_t size) {
	for (; size; size--, v >>= 8) ehi_byte(w, v & 0xff);
}

EHI uint64_t ehi_canonical(double v) { return v != v ? UINT64_C(0x7ff8000000000000) : ehi_bits(v); }

EHI void ehi_put_column(ehi_writer *w, uint8_t tag, uint32_t length) {
	ehi_byte(w, EHI_TAG | 24);
	ehi_byte(w, tag);
	ehi_put_head(w, EHI_BYTES, length);
}

static void ehi_put_column32(ehi_writer *w, const uint32_t *v, uint32_t n) {
	uint32_t i;
	ehi_put_column(w, EHI_COLUMN32, 4 * n);
	for (i = 0; i < n; i++) ehi_put_little(w, v[i], 4);
}

static void ehi_put_column64(ehi_writer *w, const double *v, uint32_t n) {
	uint32_t i;
	ehi_put_column(w, EHI_COLUMN64, 8 * n);
	for (i = 0; i < n; i++) ehi_put_little(w, ehi_canonical(v[i]), 8);
}

/* ---- Texts for people ------------------------------------------------------------------------------------------- */

/* Texts are cut off at 4096 bytes, on a whole character. One byte more says whether to cut. */
struct ehi_text {
	char at[EHI_MAX_WHY + 1];
	uint32_t length;
};

EHI void ehi_say(ehi_text *t, const char *from, uint32_t length) {
	uint32_t room = (uint32_t)sizeof t->at - t->length;
	if (length > room) length = room;
	ehi_copy(t->at + t->length, from, length);
	t->length += length;
}

EHI void ehi_say_text(ehi_text *t, const char *text) { ehi_say(t, text, ehi_length(text)); }

/* Writes v with at least the given number of digits. */
static void ehi_say_digits(ehi_text *t, uint64_t v, uint32_t least) {
	char digits[20];
	uint32_t n = sizeof digits;
	while (v || n + least > sizeof digits) {
		digits[--n] = (char)('0' + v % 10);
		v /= 10;
	}
	ehi_say(t, digits + n, (uint32_t)sizeof digits - n);
}

EHI void ehi_say_whole(ehi_text *t, int64_t v) {
	if (v < 0) ehi_say_text(t, "-");
	ehi_say_digits(t, v < 0 ? (uint64_t)0 - (uint64_t)v : (uint64_t)v, 1);
}

/* Writes v / 10^decimals without zeros at the end. */
EHI void ehi_say_fraction(ehi_text *t, uint64_t v, uint32_t decimals) {
	uint64_t unit = 1;
	uint32_t i;
	for (i = 0; i < decimals; i++) unit *= 10;
	ehi_say_digits(t, v / unit, 1);
	for (v %= unit; decimals && v % 10 == 0; decimals--) v /= 10;
	if (!decimals) return;
	ehi_say_text(t, ".");
	ehi_say_digits(t, v, decimals);
}

/* The four most significant decimal digits of significand x 2^exponent, rounded to even, exactly: digits x 10^*ten. It serves
 * numbers that are very large or very small; limbs have nine decimal digits. */
EHI uint32_t ehi_significant(uint64_t significand, int32_t exponent, int32_t *ten) {
	uint32_t limbs[90], n = 0, digits = 0, size = 0, next, i;
	int32_t power = exponent, k;
	bool half = false, sticky = false;
	for (; significand; significand /= 1000000000) limbs[n++] = (uint32_t)(significand % 1000000000);
	while (power) { /* by 2^29 at a time, or by 5^13 with the decimal point moved along */
		int32_t step = power > 0 ? (power > 29 ? 29 : power) : (power < -13 ? -13 : power);
		uint64_t factor = 1, carry = 0;
		for (k = step; k > 0; k--) factor *= 2;
		for (k = step; k < 0; k++) factor *= 5;
		for (i = 0; i < n; i++) {
			carry += limbs[i] * factor;
			limbs[i] = (uint32_t)(carry % 1000000000);
			carry /= 1000000000;
		}
		for (; carry; carry /= 1000000000) limbs[n++] = (uint32_t)(carry % 1000000000);
		power -= step;
	}
	for (i = n; i-- > 0;) {
		uint32_t divisor = 100000000;
		for (; divisor; divisor /= 10) {
			next = limbs[i] / divisor % 10;
			if (!size && !next) continue;
			if (size < 4)
				digits = digits * 10 + next;
			else if (size == 4) {
				half = next >= 5;
				sticky = next != 5 && next != 0;
			} else
				sticky = sticky || next;
			size++;
		}
	}
	*ten = (int32_t)size - 4 + (exponent < 0 ? exponent : 0);
	for (; size < 4; size++) digits *= 10;
	if (half && (sticky || digits % 2)) digits++;
	if (digits == 10000) {
		digits = 1000;
		++*ten;
	}
	return digits;
}

/* As C's %.4g without zeros at the end, and as Go's. */
EHI void ehi_say_general(ehi_text *t, uint64_t significand, int32_t exponent) {
	int32_t ten, scale;
	uint32_t digits = ehi_significant(significand, exponent, &ten), decimals = 3;
	scale = ten + 3;
	if (scale >= -4 && scale < 0) { /* 0.0001234 */
		ehi_say_text(t, "0.");
		for (decimals = 4; digits % 10 == 0; decimals--) digits /= 10;
		ehi_say_digits(t, digits, (uint32_t)(decimals - (uint32_t)(scale + 1)));
		return;
	}
	ehi_say_fraction(t, digits, decimals);
	ehi_say_text(t, scale < 0 ? "e-" : "e+");
	ehi_say_digits(t, (uint64_t)(scale < 0 ? -scale : scale), 2);
}

/* Writes about four digits, and no exponent for numbers that people say. */
EHI void ehi_say_number(ehi_text *t, double v) {
	uint64_t bits = ehi_bits(v), significand = bits & UINT64_C(0xfffffffffffff), scaled, rest, half;
	int32_t exponent = (int32_t)(bits >> 52 & 0x7ff);
	double size = v < 0 ? -v : v;
	uint32_t decimals = size >= 1000 ? 1 : size >= 1 ? 3 : 4, shift;
	if (v != v) {
		ehi_say_text(t, "NaN");
		return;
	}
	if (bits >> 63) ehi_say_text(t, "-");
	if (exponent == 0x7ff) {
		ehi_say_text(t, bits >> 63 ? "Inf" : "+Inf");
		return;
	}
	if (v == 0) {
		ehi_say_text(t, "0");
		return;
	}
	if (exponent)
		significand |= UINT64_C(1) << 52;
	else
		exponent = 1;
	exponent -= 1075;
	if (size >= 1e15 || size < 1e-3) {
		ehi_say_general(t, significand, exponent);
		return;
	}
	/* v x 10^decimals is significand x 5^decimals x 2^(exponent + decimals), which is exact in 64 bits. */
	scaled = significand * (decimals == 1 ? 5 : decimals == 3 ? 125 : 625);
	shift = (uint32_t)(-exponent) - decimals;
	rest = scaled & ((UINT64_C(1) << shift) - 1);
	half = UINT64_C(1) << (shift - 1);
	scaled >>= shift;
	if (rest > half || (rest == half && scaled % 2)) scaled++;
	ehi_say_fraction(t, scaled, decimals);
}

/* Writes a duration as Go does: 1h2m3.5s, 250ms. */
EHI void ehi_say_duration(ehi_text *t, int64_t d) {
	uint64_t v = d < 0 ? (uint64_t)0 - (uint64_t)d : (uint64_t)d;
	if (d < 0) ehi_say_text(t, "-");
	if (v == 0) {
		ehi_say_text(t, "0s");
	} else if (v < 1000) {
		ehi_say_digits(t, v, 1);
		ehi_say_text(t, "ns");
	} else if (v < 1000000) {
		ehi_say_fraction(t, v, 3);
		ehi_say_text(t, "\xc2\xb5s");
	} else if (v < 1000000000) {
		ehi_say_fraction(t, v, 6);
		ehi_say_text(t, "ms");
	} else {
		uint64_t minutes = v / 60000000000;
		if (minutes >= 60) {
			ehi_say_digits(t, minutes / 60, 1);
			ehi_say_text(t, "h");
		}
		if (minutes) {
			ehi_say_digits(t, minutes % 60, 1);
			ehi_say_text(t, "m");
		}
		ehi_say_fraction(t, v % 60000000000, 9);
		ehi_say_text(t, "s");
	}
}

/* Whether people write the unit with a prefix. */
EHI bool ehi_scales(eh_string unit) {
	return ehi_same(unit, "Hz") || ehi_same(unit, "B") || ehi_same(unit, "W") || ehi_same(unit, "J") ||
		ehi_same(unit, "bit/s") || ehi_same(unit, "B/s");
}

EHI void ehi_say_quantity(ehi_text *t, double v, eh_string unit) {
	static const char prefixes[] = "TGMk";
	double size = 1e12;
	uint32_t i = 4;
	if (!unit.length || ehi_same(unit, "ratio")) {
		ehi_say_number(t, v);
		return;
	}
	if (ehi_scales(unit))
		for (i = 0; i < 4 && !(v >= size || -v >= size); i++) size /= 1000;
	ehi_say_number(t, i < 4 ? v / size : v);
	ehi_say_text(t, " ");
	if (i < 4) ehi_say(t, prefixes + i, 1);
	ehi_say(t, unit.at, unit.length);
}

EHI void ehi_part_text(ehi_text *t, const eh_part *p) { ehi_say(t, p->of.text, p->length); }
EHI void ehi_part_number(ehi_text *t, const eh_part *p) { ehi_say_number(t, p->of.number); }
EHI void ehi_part_whole(ehi_text *t, const eh_part *p) { ehi_say_whole(t, p->of.whole); }
EHI void ehi_part_duration(ehi_text *t, const eh_part *p) { ehi_say_duration(t, p->of.whole); }

/* The unit is the next part, which is a text. */
EHI void ehi_part_quantity(ehi_text *t, const eh_part *p) {
	eh_string unit = {p[1].of.text, p[1].length};
	ehi_say_quantity(t, p->of.number, unit);
}

EHI void ehi_part_unit(ehi_text *t, const eh_part *p) { (void)t, (void)p; }

EHI eh_part ehi_part(void (*say)(ehi_text *, const eh_part *), eh_string s) {
	eh_part p = {NULL, 0, {NULL}};
	p.say = say;
	p.length = s.length;
	p.of.text = s.at;
	return p;
}

/* eh_t("literal") is a text that is known when the policy is compiled, eh_s(string) any other. */
#define eh_t(literal) ((eh_part){ehi_part_text, sizeof("" literal) - 1, {literal}})
#define eh_s(string) ehi_part(ehi_part_text, string)

/* A number, written with about four digits. */
#define eh_n(v) ((eh_part){ehi_part_number, 0, {.number = (v)}})

/* A whole number. */
#define eh_i(v) ((eh_part){ehi_part_whole, 0, {.whole = (v)}})

/* A duration: 1m30s. */
#define eh_d(nanoseconds) ((eh_part){ehi_part_duration, 0, {.whole = (nanoseconds)}})

/* A number with a unit: 3.5e9 with the unit Hz reads 3.5 GHz. */
#define eh_q(v, unit) ((eh_part){ehi_part_quantity, 0, {.number = (v)}}), ehi_part(ehi_part_unit, unit)

static void ehi_say_parts(ehi_text *t, const eh_part *parts, size_t n) {
	t->length = 0;
	for (; n; n--, parts++) parts->say(t, parts);
}

EHI eh_string ehi_clip(ehi_text *t) {
	eh_string s = {t->at, t->length};
	if (s.length > EHI_MAX_WHY) {
		s.length = EHI_MAX_WHY;
		while (s.length && ((uint8_t)t->at[s.length] & 0xc0) == 0x80) s.length--;
	}
	return s;
}

#define EHI_PARTS(...) (const eh_part[]){__VA_ARGS__}, sizeof((const eh_part[]){__VA_ARGS__}) / sizeof(eh_part)

/* ---- Failing ---------------------------------------------------------------------------------------------------- */

/* The first failure of a call. */
static struct {
	const char *code; /* NULL: none */
	ehi_text message;
} ehi_failure;

EHI void ehi_fail_parts(const char *code, const eh_part *parts, size_t n) {
	if (ehi_failure.code) return;
	ehi_failure.code = code;
	ehi_say_parts(&ehi_failure.message, parts, n);
}

#define ehi_fail(code, ...) ehi_fail_parts(code, EHI_PARTS(__VA_ARGS__))

/* eh_fail(parts...) ends the episode for a reason: nothing is applied. */
#define eh_fail(...) ehi_fail("policy.failed", __VA_ARGS__)

/* ---- The host's log --------------------------------------------------------------------------------------------- */

#if defined(__wasm__)
__attribute__((import_module("edgehold1"), import_name("log"))) void ehi_host_log(uint32_t level, const char *text, uint32_t length);
#else
EHI void ehi_host_log(uint32_t level, const char *text, uint32_t length) { (void)level, (void)text, (void)length; }
#endif

EHI void ehi_log_parts(uint32_t level, const eh_part *parts, size_t n) {
	static ehi_text line;
	eh_string text;
	ehi_say_parts(&line, parts, n);
	text = ehi_clip(&line);
	ehi_host_log(level, text.at, text.length);
}

/* eh_log(parts...) and eh_warn(parts...) write a line to the host's log, under the policy's name. */
#define eh_log(...) ehi_log_parts(1, EHI_PARTS(__VA_ARGS__))
#define eh_warn(...) ehi_log_parts(2, EHI_PARTS(__VA_ARGS__))

/* ---- Setup ------------------------------------------------------------------------------------------------------ */

/* A list inside the copy of the init message, walked when something is looked up. */
typedef struct {
	const uint8_t *at, *end;
	uint32_t length;
} ehi_items;

/* What initialize is told. The texts are the fields of the init message. */
struct eh_setup {
	eh_string policy, version, asset, scope, layer;
	ehi_items metrics, mechanisms, knobs, features, parameter_names;
	const uint8_t *parameters;
	uint32_t parameters_length, context_schema;
	eh_string context;
};

EHI ehi_reader ehi_walk(ehi_items items) {
	return ehi_read(items.at, (uint32_t)(items.end - items.at));
}

EHI ehi_items ehi_names(ehi_reader *r, uint32_t most) {
	ehi_items l = {NULL, NULL, 0};
	uint32_t i;
	l.length = ehi_list(r, most);
	l.at = r->at;
	for (i = 0; i < l.length; i++) ehi_name(r);
	l.end = r->at;
	return l;
}

typedef struct {
	eh_string name;
	ehi_items labels; /* alternating names and values */
} ehi_metric_info;

static void ehi_read_metric(ehi_reader *r, ehi_metric_info *m) {
	static const ehi_metric_info none;
	ehi_keys k = ehi_open(r);
	*m = none;
	while (ehi_next(&k)) {
		if (ehi_same(k.key, "name")) {
			m->name = ehi_name(r);
		} else if (ehi_same(k.key, "labels")) {
			uint32_t i;
			m->labels.length = ehi_list(r, EHI_MAX_LABELS);
			m->labels.at = r->at;
			for (i = 0; i < m->labels.length; i++) {
				ehi_exactly(r, 2);
				ehi_name(r);
				ehi_name(r);
			}
			m->labels.end = r->at;
		} else {
			ehi_skip(r, 0);
		}
	}
}

/* The ends of a table are those of the range; one NaN makes both NaN. */
EHI void ehi_table_range(eh_knob *k) {
	uint32_t i;
	k->least = k->most = ehi_f64(k->table);
	for (i = 1; i < k->table_length; i++) {
		double v = ehi_f64(k->table + 8 * i);
		if (v != v) k->least = k->most = v;
		if (v < k->least) k->least = v;
		if (v > k->most) k->most = v;
	}
}

static void ehi_read_knob(ehi_reader *r, eh_knob *knob) {
	static const eh_knob none;
	ehi_keys k = ehi_open(r);
	*knob = none;
	knob->least = knob->most = ehi_from_bits(UINT64_C(0x7ff8000000000000));
	while (ehi_next(&k)) {
		if (ehi_same(k.key, "max")) {
			knob->most = ehi_float(r);
		} else if (ehi_same(k.key, "min")) {
			knob->least = ehi_float(r);
		} else if (ehi_same(k.key, "name")) {
			knob->name = ehi_name(r);
		} else if (ehi_same(k.key, "unit")) {
			knob->unit = ehi_name(r);
		} else if (ehi_same(k.key, "table")) {
			knob->table_length = ehi_column64(r, EHI_MAX_CHOICES, &knob->table);
		} else if (ehi_same(k.key, "choices")) {
			ehi_items names = ehi_names(r, EHI_MAX_CHOICES);
			knob->choices = names.at;
			knob->choices_length = names.length;
		} else if (ehi_same(k.key, "mechanism")) {
			knob->mechanism = ehi_uint32(r);
		} else {
			ehi_skip(r, 0);
		}
	}
	if (knob->table_length) ehi_table_range(knob);
}

EHI ehi_items ehi_read_metrics(ehi_reader *r) {
	ehi_items l = {NULL, NULL, 0};
	ehi_metric_info m;
	uint32_t i;
	l.length = ehi_list(r, EHI_MAX_METRICS);
	l.at = r->at;
	for (i = 0; i < l.length && !r->bad; i++) ehi_read_metric(r, &m);
	l.end = r->at;
	return l;
}

EHI ehi_items ehi_read_knobs(ehi_reader *r) {
	ehi_items l = {NULL, NULL, 0};
	eh_knob k;
	uint32_t i;
	l.length = ehi_list(r, EHI_MAX_KNOBS);
	l.at = r->at;
	for (i = 0; i < l.length && !r->bad; i++) ehi_read_knob(r, &k);
	l.end = r->at;
	return l;
}

/* Reads an init message, all of which is checked here; look-ups walk it again. */
static bool ehi_read_setup(ehi_reader *r, eh_setup *s) {
	static const eh_setup none;
	ehi_keys k = ehi_open(r);
	*s = none;
	while (ehi_next(&k)) {
		if (ehi_same(k.key, "asset"))
			s->asset = ehi_name(r);
		else if (ehi_same(k.key, "knobs"))
			s->knobs = ehi_read_knobs(r);
		else if (ehi_same(k.key, "layer"))
			s->layer = ehi_name(r);
		else if (ehi_same(k.key, "scope"))
			s->scope = ehi_name(r);
		else if (ehi_same(k.key, "policy"))
			s->policy = ehi_name(r);
		else if (ehi_same(k.key, "context"))
			s->context = ehi_raw(r, EHI_BYTES, EHI_MAX_CONTEXT);
		else if (ehi_same(k.key, "metrics"))
			s->metrics = ehi_read_metrics(r);
		else if (ehi_same(k.key, "version"))
			s->version = ehi_name(r);
		else if (ehi_same(k.key, "features"))
			s->features = ehi_names(r, EHI_MAX_FEATURES);
		else if (ehi_same(k.key, "mechanisms"))
			s->mechanisms = ehi_names(r, EHI_MAX_MECHANISMS);
		else if (ehi_same(k.key, "parameters"))
			s->parameters_length = ehi_column64(r, EHI_MAX_PARAMETERS, &s->parameters);
		else if (ehi_same(k.key, "context_schema"))
			s->context_schema = ehi_uint32(r);
		else if (ehi_same(k.key, "parameter_names"))
			s->parameter_names = ehi_names(r, EHI_MAX_PARAMETERS);
		else
			ehi_skip(r, 0);
	}
	if (s->parameter_names.length != s->parameters_length) ehi_bad(r);
	return ehi_finish(r);
}

/* What is said of something that was not found: four parts for what it is, then a dozen names at most of what there is. */
typedef struct {
	eh_part parts[36];
	uint32_t length, names;
} ehi_alternatives;

EHI void ehi_tell(ehi_alternatives *a, eh_part part) { a->parts[a->length++] = part; }

EHI void ehi_begin_offers(ehi_alternatives *a) {
	a->length = 4;
	a->names = 0;
}

EHI void ehi_offer(ehi_alternatives *a, eh_string name) {
	if (a->names > 12) return;
	ehi_tell(a, a->names ? eh_t(", ") : eh_t("; there is "));
	ehi_tell(a, a->names < 12 ? eh_s(name) : eh_t("..."));
	a->names++;
}

EHI void ehi_missing(ehi_alternatives *a, const char *what, const char *name, const char *hint) {
	a->parts[0] = eh_t("there is no ");
	a->parts[1] = eh_s(ehi_string(what));
	a->parts[2] = eh_t(" ");
	a->parts[3] = eh_s(ehi_string(name));
	if (!a->names) ehi_tell(a, eh_t("; there is none at all"));
	ehi_tell(a, eh_t(": "));
	ehi_tell(a, eh_s(ehi_string(hint)));
	ehi_fail_parts("policy.not-found", a->parts, a->length);
}

EHI bool ehi_has_label(const ehi_metric_info *m, const char *name, const char *value) {
	ehi_reader r = ehi_walk(m->labels);
	uint32_t i;
	for (i = 0; i < m->labels.length; i++) {
		eh_string n, v;
		ehi_exactly(&r, 2);
		n = ehi_name(&r);
		v = ehi_name(&r);
		if (ehi_same(n, name) && ehi_same(v, value)) return true;
	}
	return false;
}

/* Finds the metric of that name with a label; with label NULL any. */
static eh_metric eh_find_labelled(const eh_setup *s, const char *name, const char *label, const char *value) {
	ehi_reader r = ehi_walk(s->metrics);
	ehi_alternatives have;
	ehi_metric_info m;
	eh_metric found = {0};
	ehi_begin_offers(&have);
	for (uint32_t i = 0; i < s->metrics.length; i++) {
		ehi_read_metric(&r, &m);
		if (ehi_same(m.name, name) && (!label || ehi_has_label(&m, label, value))) {
			found.number = i + 1;
			return found;
		}
		ehi_offer(&have, m.name);
	}
	ehi_missing(&have, "metric", name, "list it under metrics in policy.yaml");
	return found;
}

/* Finds a metric of policy.yaml. */
EHI eh_metric eh_find_metric(const eh_setup *s, const char *name) { return eh_find_labelled(s, name, NULL, NULL); }

EHI uint32_t ehi_find_name(ehi_items names, const char *name, ehi_alternatives *have) {
	ehi_reader r = ehi_walk(names);
	uint32_t i;
	ehi_begin_offers(have);
	for (i = 0; i < names.length; i++) {
		eh_string n = ehi_name(&r);
		if (ehi_same(n, name)) return i + 1;
		ehi_offer(have, n);
	}
	return 0;
}

/* Finds a granted mechanism. */
EHI eh_mechanism eh_find_mechanism(const eh_setup *s, const char *name) {
	ehi_alternatives have;
	eh_mechanism m = {0};
	m.number = ehi_find_name(s->mechanisms, name, &have);
	if (!m.number) ehi_missing(&have, "mechanism", name, "list it under mechanisms in policy.yaml, and have it granted");
	return m;
}

/* The value of a parameter of policy.yaml: the operator's, or the default. */
EHI double eh_parameter(const eh_setup *s, const char *name) {
	ehi_alternatives have;
	uint32_t number = ehi_find_name(s->parameter_names, name, &have);
	if (number) return ehi_f64(s->parameters + 8 * (number - 1));
	ehi_missing(&have, "parameter", name, "list it under parameters in policy.yaml");
	return 0;
}

/* Whether the host offers an optional feature. */
EHI bool eh_has_feature(const eh_setup *s, const char *name) {
	ehi_alternatives have;
	return ehi_find_name(s->features, name, &have) != 0;
}

/* In a pattern * stands for any text without a slash, and ? for one byte that is not a slash. */
EHI bool ehi_match(const char *pattern, eh_string name) {
	const char *star = NULL; /* the pattern after the last star */
	uint32_t i = 0, from = 0;
	for (;;) {
		if (*pattern == '*') {
			star = ++pattern;
			from = i;
		} else if (i == name.length && !*pattern) {
			return true;
		} else if (i < name.length && *pattern && (*pattern == name.at[i] || (*pattern == '?' && name.at[i] != '/'))) {
			pattern++;
			i++;
		} else if (star && from < name.length && name.at[from] != '/') {
			pattern = star; /* the star takes one byte more */
			i = ++from;
		} else {
			return false;
		}
	}
}

/* The setup of this instance, whose texts lie in a copy of the init message. */
static eh_setup ehi_setup;

/* Walks the knobs of a selection: for (eh_cursor c = eh_each(knobs); eh_next_knob(&c, &knob);) ... */
typedef struct {
	eh_knobs selection;
	ehi_reader r;
	uint32_t next;
} eh_cursor;

EHI eh_cursor eh_each(eh_knobs selection) {
	eh_cursor c;
	c.selection = selection;
	c.r = ehi_walk(ehi_setup.knobs);
	c.next = 0;
	return c;
}

static bool eh_next_knob(eh_cursor *c, eh_knob *knob) {
	while (c->next < ehi_setup.knobs.length) {
		ehi_read_knob(&c->r, knob);
		knob->number = ++c->next;
		if (c->selection.mechanism.number && knob->mechanism == c->selection.mechanism.number - 1 &&
			(!c->selection.pattern || ehi_match(c->selection.pattern, knob->name)))
			return true;
	}
	return false;
}

EHI void ehi_missing_knob(eh_mechanism mechanism, const char *name, const char *hint) {
	eh_knobs all = {{0}, NULL};
	ehi_alternatives have;
	eh_cursor c;
	eh_knob k;
	all.mechanism = mechanism;
	ehi_begin_offers(&have);
	for (c = eh_each(all); eh_next_knob(&c, &k);) ehi_offer(&have, k.name);
	ehi_missing(&have, "knob", name, hint);
}

EHI eh_mechanism ehi_mechanism(const eh_setup *s, const char *name) {
	ehi_alternatives have;
	eh_mechanism m = {0};
	m.number = ehi_find_name(s->mechanisms, name, &have);
	return m;
}

/* Finds the granted knobs that match a pattern, in which * stands for any text without a slash and ? for one byte. There is
 * at least one, or the initialisation fails. The pattern has to last: use a literal. */
EHI eh_knobs eh_find_knobs(const eh_setup *s, const char *mechanism, const char *pattern) {
	eh_knobs found = {{0}, NULL};
	eh_cursor c;
	eh_knob k;
	found.mechanism = ehi_mechanism(s, mechanism);
	found.pattern = pattern;
	c = eh_each(found);
	if (!eh_next_knob(&c, &k)) ehi_missing_knob(found.mechanism, pattern, "grant some, or change the pattern");
	return found;
}

/* Finds one granted knob by its exact name. */
EHI eh_knob eh_find_knob(const eh_setup *s, const char *mechanism, const char *name) {
	static const eh_knob none;
	eh_knobs all = {{0}, NULL};
	eh_cursor c;
	eh_knob k;
	all.mechanism = ehi_mechanism(s, mechanism);
	for (c = eh_each(all); eh_next_knob(&c, &k);)
		if (ehi_same(k.name, name)) return k;
	ehi_missing_knob(all.mechanism, name, "grant it, or ask by pattern with eh_find_knobs");
	return none;
}

/* Value i of the list of the only ones that can be set. */
EHI double eh_table(const eh_knob *k, uint32_t i) { return ehi_f64(k->table + 8 * i); }

/* Name i of those that eh_choose takes. */
EHI eh_string eh_choice(const eh_knob *k, uint32_t i) {
	ehi_reader r = ehi_read(k->choices, (uint32_t)(ehi_setup.knobs.end - k->choices));
	eh_string name = {NULL, 0};
	for (i++; i; i--) name = ehi_name(&r);
	return name;
}

/* ---- Observation ------------------------------------------------------------------------------------------------ */

/* What is known at one moment. The columns lie in the request window. */
struct eh_observation {
	uint64_t seq;
	int64_t time;     /* when it was made: the episode's clock */
	uint32_t trigger; /* 0 the interval passed, 1 a metric crossed a bound, 2 a person asked */

	uint32_t length, knobs_length;
	const uint8_t *ids, *values, *ages_ms, *knob_ids, *knob_values;
	bool dense; /* row i is metric i */
};

static bool ehi_read_observation(ehi_reader *r, eh_observation *o) {
	uint32_t values, ages, knob_values, i;
	ehi_exactly(r, 8);
	o->seq = ehi_expect(r, EHI_UINT);
	o->time = ehi_int64(r);
	o->trigger = ehi_uint32(r);
	o->length = ehi_column32(r, EHI_MAX_METRICS, &o->ids);
	values = ehi_column64(r, EHI_MAX_METRICS, &o->values);
	ages = ehi_column32(r, EHI_MAX_METRICS, &o->ages_ms);
	o->knobs_length = ehi_column32(r, EHI_MAX_KNOBS, &o->knob_ids);
	knob_values = ehi_column64(r, EHI_MAX_KNOBS, &o->knob_values);
	if (values != o->length || ages != o->length || knob_values != o->knobs_length) ehi_bad(r);
	if (!ehi_finish(r)) return false;
	for (i = 0; i < o->length && ehi_u32(o->ids + 4 * i) == i;) i++;
	o->dense = i == o->length;
	return true;
}

/* The metric's value; false when there is none. It may be old: see eh_age. */
EHI bool eh_value(const eh_observation *o, eh_metric m, double *value) {
	uint32_t id = m.number - 1, row = o->length;
	*value = 0;
	if (o->dense) {
		if (id >= o->length) return false;
		row = id;
	} else {
		while (row && ehi_u32(o->ids + 4 * (row - 1)) != id) row--;
		if (!row-- || !m.number) return false;
	}
	*value = ehi_f64(o->values + 8 * row);
	return *value == *value;
}

/* The row with this id: at its own place when all are there, else by search; n when there is none. */
EHI uint32_t ehi_row(const uint8_t *ids, uint32_t n, uint32_t id) {
	uint32_t i;
	if (id < n && ehi_u32(ids + 4 * id) == id) return id;
	for (i = 0; i < n && ehi_u32(ids + 4 * i) != id;) i++;
	return i;
}

/* The time since the metric's sample was taken; EH_FOREVER when there is none. */
EHI int64_t eh_age(const eh_observation *o, eh_metric m) {
	uint32_t row = m.number ? ehi_row(o->ids, o->length, m.number - 1) : o->length;
	uint32_t age = row < o->length ? ehi_u32(o->ages_ms + 4 * row) : UINT32_MAX;
	return age == UINT32_MAX ? EH_FOREVER : age * EH_MILLISECOND;
}

/* As eh_value, but only when the sample is at most that old. */
EHI bool eh_fresh(const eh_observation *o, eh_metric m, int64_t age, double *value) {
	*value = 0;
	return eh_age(o, m) <= age && eh_value(o, m, value);
}

/* The value in effect now, in the knob's unit (for a choice its index); false when it is not known. */
EHI bool eh_knob_value(const eh_observation *o, const eh_knob *k, double *value) {
	uint32_t row = k->number ? ehi_row(o->knob_ids, o->knobs_length, k->number - 1) : o->knobs_length;
	*value = row < o->knobs_length ? ehi_f64(o->knob_values + 8 * row) : 0;
	return row < o->knobs_length && *value == *value;
}

/* ---- Times ------------------------------------------------------------------------------------------------------ */

/* The duration from one time to another; beyond 292 years it is the longest there is. */
EHI int64_t eh_since(int64_t from, int64_t to) {
	int64_t d = (int64_t)((uint64_t)to - (uint64_t)from);
	if (to >= from) return d >= 0 ? d : INT64_MAX;
	return d < 0 ? d : INT64_MIN;
}

/* The duration of that many seconds; one that does not fit is the longest there is, NaN is none. */
EHI int64_t eh_seconds(double seconds) {
	double ns = seconds * 1e9;
	if (ns >= 9223372036854775808.0) return INT64_MAX;
	if (ns <= -9223372036854775808.0) return INT64_MIN;
	return ns == ns ? (int64_t)ns : 0;
}

/* ---- Verdict ---------------------------------------------------------------------------------------------------- */

struct eh_verdict {
	bool act;
	int64_t next;
	uint32_t bounds;
	uint32_t ids[EH_MAX_BOUNDS];
	double above[EH_MAX_BOUNDS], below[EH_MAX_BOUNDS];
	ehi_text why;
};

EHI void ehi_decide(eh_verdict *v, bool act, const eh_part *parts, size_t n) {
	v->act = act;
	ehi_say_parts(&v->why, parts, n);
}

/* eh_decide(v, act, parts...) says whether a plan is needed, and why. */
#define eh_decide(v, act, ...) ehi_decide(v, act, EHI_PARTS(__VA_ARGS__))

/* eh_act(v, parts...) says that a plan is needed, and why. */
#define eh_act(v, ...) ehi_decide(v, true, EHI_PARTS(__VA_ARGS__))

/* eh_stay(v, parts...) says that nothing has to change, and why. */
#define eh_stay(v, ...) ehi_decide(v, false, EHI_PARTS(__VA_ARGS__))

/* Asks for the next analyze after that time at the latest, once. Without it the interval of policy.yaml holds. */
EHI void eh_next(eh_verdict *v, int64_t after) { v->next = after; }

EHI void ehi_wake(eh_verdict *v, eh_metric m, double above, double below) {
	if (!m.number) {
		ehi_fail("policy.not-found", eh_t("wake on a metric that was not found at initialisation"));
	} else if (v->bounds == EH_MAX_BOUNDS) {
		ehi_fail("policy.verdict", eh_t("the verdict has more bounds than EH_MAX_BOUNDS"));
	} else {
		v->ids[v->bounds] = m.number - 1;
		v->above[v->bounds] = above;
		v->below[v->bounds++] = below;
	}
}

/* Asks for an analyze as soon as the metric goes above value, without waiting for the interval. Bounds replace those of the
 * verdict before; a verdict without any keeps them. */
EHI void eh_wake_above(eh_verdict *v, eh_metric m, double value) { ehi_wake(v, m, value, ehi_from_bits(UINT64_C(0x7ff8000000000000))); }

/* As eh_wake_above, for the other direction. */
EHI void eh_wake_below(eh_verdict *v, eh_metric m, double value) { ehi_wake(v, m, ehi_from_bits(UINT64_C(0x7ff8000000000000)), value); }

static void ehi_put_analysis(ehi_writer *w, uint64_t seq, eh_verdict *v) {
	int64_t next = v->next / EH_MILLISECOND, most = 24 * EH_HOUR / EH_MILLISECOND;
	ehi_put_head(w, EHI_ARRAY, 7);
	ehi_put_head(w, EHI_UINT, seq);
	ehi_byte(w, v->act ? EHI_TRUE : EHI_FALSE);
	ehi_put_head(w, EHI_UINT, (uint64_t)(next < 0 ? 0 : next > most ? most : next));
	ehi_put_text(w, ehi_clip(&v->why));
	ehi_put_column32(w, v->ids, v->bounds);
	ehi_put_column64(w, v->above, v->bounds);
	ehi_put_column64(w, v->below, v->bounds);
}

/* ---- Plan ------------------------------------------------------------------------------------------------------- */

/* Collects what is to be done. A setting that can't be meant fails the whole plan. */
struct eh_plan {
	uint32_t rows;
	uint32_t mechanisms[EH_MAX_ROWS], verbs[EH_MAX_ROWS], knobs[EH_MAX_ROWS], lease_ms[EH_MAX_ROWS];
	double values[EH_MAX_ROWS];
	ehi_text why;
};

/* The rows that one call added. */
typedef struct {
	eh_plan *plan;
	uint32_t from;
} eh_settings;

#define ehi_no_plan(...) ehi_fail("policy.plan", eh_t("the plan would "), __VA_ARGS__)

EHI void ehi_add(eh_plan *p, uint32_t mechanism, uint32_t verb, uint32_t knob, double value) {
	if (p->rows == EH_MAX_ROWS) {
		ehi_no_plan(eh_t("have more settings than EH_MAX_ROWS"));
		return;
	}
	p->mechanisms[p->rows] = mechanism;
	p->verbs[p->rows] = verb;
	p->knobs[p->rows] = knob;
	p->lease_ms[p->rows] = 0;
	p->values[p->rows++] = value;
}

EHI eh_settings ehi_from(eh_plan *p) {
	eh_settings s = {p, p->rows};
	return s;
}

/* eh_plan_why(p, parts...) gives the plan's own reason. Without it the reason of the verdict stands. */
#define eh_plan_why(p, ...) ehi_say_parts(&(p)->why, EHI_PARTS(__VA_ARGS__))

/* Gives a knob a value in the knob's unit. Values outside the range are clamped, and reported, below the policy. */
EHI eh_settings eh_set(eh_plan *p, const eh_knob *k, double value) {
	eh_settings s = ehi_from(p);
	if (!k->number)
		ehi_no_plan(eh_t("set a knob that was not found at initialisation"));
	else if (!(value - value == 0))
		ehi_no_plan(eh_t("set "), eh_s(k->name), eh_t(" to "), eh_n(value));
	else
		ehi_add(p, k->mechanism, 0, k->number - 1, value);
	return s;
}

EHI eh_settings ehi_set_end(eh_plan *p, eh_knobs knobs, bool most) {
	eh_settings s = ehi_from(p);
	eh_cursor c;
	eh_knob k;
	for (c = eh_each(knobs); eh_next_knob(&c, &k);) {
		if (k.table_length || k.least <= k.most)
			eh_set(p, &k, most ? k.most : k.least);
		else
			ehi_no_plan(eh_t("set "), eh_s(k.name), eh_t(" to an end of its range: it has none"));
	}
	return s;
}

/* Sets each knob to the top of its range. */
EHI eh_settings eh_set_max(eh_plan *p, eh_knobs knobs) { return ehi_set_end(p, knobs, true); }

/* Sets each knob to the bottom of its range. */
EHI eh_settings eh_set_min(eh_plan *p, eh_knobs knobs) { return ehi_set_end(p, knobs, false); }

/* Sets each knob to the value. */
EHI eh_settings eh_set_all(eh_plan *p, eh_knobs knobs, double value) {
	eh_settings s = ehi_from(p);
	eh_cursor c;
	eh_knob k;
	for (c = eh_each(knobs); eh_next_knob(&c, &k);) eh_set(p, &k, value);
	return s;
}

/* Sets a knob that is a choice by name. */
EHI eh_settings eh_choose(eh_plan *p, const eh_knob *k, const char *choice) {
	eh_settings s = ehi_from(p);
	uint32_t i;
	for (i = 0; i < k->choices_length; i++)
		if (ehi_same(eh_choice(k, i), choice)) return eh_set(p, k, i);
	ehi_no_plan(eh_t("set "), eh_s(k->name), eh_t(" to "), eh_s(ehi_string(choice)), eh_t(", which is not one of its choices"));
	return s;
}

/* Gives every granted knob of the mechanism its original value back. */
EHI eh_settings eh_reset(eh_plan *p, eh_mechanism m) {
	eh_settings s = ehi_from(p);
	if (!m.number)
		ehi_no_plan(eh_t("reset a mechanism that was not found at initialisation"));
	else
		ehi_add(p, m.number - 1, 1, UINT32_MAX, 0);
	return s;
}

/* Gives each knob its original value back. */
EHI eh_settings eh_reset_knobs(eh_plan *p, eh_knobs knobs) {
	eh_settings s = ehi_from(p);
	eh_cursor c;
	eh_knob k;
	for (c = eh_each(knobs); eh_next_knob(&c, &k);) ehi_add(p, k.mechanism, 1, k.number - 1, 0);
	return s;
}

/* Says after how long the knobs get their original values back, unless a later plan sets them again by then. Without it they
 * hold for as long as the policy is in charge and well. */
EHI void eh_for(eh_settings s, int64_t lease) {
	int64_t ms = lease / EH_MILLISECOND;
	if (ms < 1 || ms >= UINT32_MAX) {
		ehi_no_plan(eh_t("lease a knob for "), eh_d(lease));
		return;
	}
	for (; s.from < s.plan->rows; s.from++) s.plan->lease_ms[s.from] = (uint32_t)ms;
}

static void ehi_put_plan(ehi_writer *w, uint64_t seq, eh_plan *p) {
	ehi_put_head(w, EHI_ARRAY, 7);
	ehi_put_head(w, EHI_UINT, seq);
	ehi_put_text(w, ehi_clip(&p->why));
	ehi_put_column32(w, p->mechanisms, p->rows);
	ehi_put_column32(w, p->verbs, p->rows);
	ehi_put_column32(w, p->knobs, p->rows);
	ehi_put_column64(w, p->values, p->rows);
	ehi_put_column32(w, p->lease_ms, p->rows);
}

/* ---- State ------------------------------------------------------------------------------------------------------ */

/* One named value, encoded. */
typedef struct {
	eh_string key, value;
} ehi_entry;

/* What lasts from one episode to the next: values by key. Keys are at most 64 bytes and have to last: use literals. A value that
 * is not there, or is of another type, reads as zero. */
struct eh_state {
	uint32_t length;
	ehi_entry entries[EH_MAX_ENTRIES];
	ehi_writer put; /* what was put, in memory of its own */
};

#define EHI_STATE_PROBLEM "the saved state is larger than 64 KiB, or a key is empty or longer than 64 bytes"

EHI ehi_entry *ehi_find_entry(eh_state *s, const char *key) {
	uint32_t i;
	for (i = 0; i < s->length; i++)
		if (ehi_same(s->entries[i].key, key)) return s->entries + i;
	return NULL;
}

EHI ehi_reader ehi_entry_value(const eh_state *s, const char *key) {
	uint32_t i;
	for (i = 0; i < s->length; i++)
		if (ehi_same(s->entries[i].key, key)) return ehi_read((const uint8_t *)s->entries[i].value.at, s->entries[i].value.length);
	return ehi_read((const uint8_t *)"", 0);
}

/* Whether there is a value. */
EHI bool eh_has(const eh_state *s, const char *key) {
	ehi_reader r = ehi_entry_value(s, key);
	return ehi_left(&r) != 0;
}

/* Reads any value of a context, and refuses what is none. */
static void ehi_check_entry(ehi_reader *r) {
	const uint8_t *column;
	uint8_t first = r->at < r->end ? *r->at : EHI_OTHER, major = first & 0xe0;
	if (major == EHI_UINT || major == EHI_INT)
		ehi_int64(r);
	else if (major == EHI_TEXT || major == EHI_BYTES)
		ehi_raw(r, major, EHI_MAX_CONTEXT);
	else if (major == EHI_TAG)
		ehi_column64(r, EHI_MAX_CONTEXT / 8, &column);
	else if (first == EHI_FALSE || first == EHI_TRUE)
		r->at++;
	else if (ehi_left(r) >= 3 && first == EHI_F16 && r->at[1] == 0x7e && r->at[2] == 0)
		r->at += 3;
	else
		ehi_float(r);
}

/* Reads a context. No bytes at all are no entries. */
static bool ehi_read_state(eh_state *s, eh_string context) {
	ehi_reader r = ehi_read((const uint8_t *)context.at, context.length);
	ehi_keys k;
	s->length = 0;
	s->put.length = 0;
	s->put.full = false;
	if (!context.length) return true;
	k = ehi_open(&r);
	if (k.left > EH_MAX_ENTRIES) ehi_bad(&r);
	while (ehi_next(&k)) {
		ehi_entry *e = s->entries + s->length++;
		e->key = k.key;
		e->value.at = (const char *)r.at;
		ehi_check_entry(&r);
		e->value.length = (uint32_t)((const char *)r.at - e->value.at);
	}
	if (ehi_finish(&r)) return true;
	ehi_fail("policy.context", eh_t("the saved state can not be decoded"));
	s->length = 0;
	return false;
}

/* Writes the entries in the order of their keys. */
static void ehi_put_state(ehi_writer *w, eh_state *s) {
	uint32_t i, j;
	for (i = 1; i < s->length; i++)
		for (j = i; j && ehi_before(s->entries[j].key, s->entries[j - 1].key); j--) {
			ehi_entry swap = s->entries[j];
			s->entries[j] = s->entries[j - 1];
			s->entries[j - 1] = swap;
		}
	ehi_put_head(w, EHI_MAP, s->length);
	for (i = 0; i < s->length; i++) {
		eh_string key = s->entries[i].key;
		if (!key.length || key.length > EHI_MAX_KEY || !ehi_utf8((const uint8_t *)key.at, key.length)) s->put.full = true;
		ehi_put_text(w, key);
		ehi_put(w, s->entries[i].value.at, s->entries[i].value.length);
	}
	if (s->put.full || w->full || w->length > EHI_MAX_CONTEXT) ehi_fail("policy.context", eh_t(EHI_STATE_PROBLEM));
}

/* Whole numbers. */
EHI int64_t eh_get_int(const eh_state *s, const char *key) {
	ehi_reader r = ehi_entry_value(s, key);
	int64_t v = ehi_int64(&r);
	return r.bad ? 0 : v;
}

/* Numbers. */
EHI double eh_get_float(const eh_state *s, const char *key) {
	ehi_reader r = ehi_entry_value(s, key);
	double v;
	if (ehi_left(&r) == 3 && r.at[0] == EHI_F16 && r.at[1] == 0x7e) return ehi_from_bits(UINT64_C(0x7ff8000000000000));
	v = ehi_float(&r);
	return r.bad ? 0 : v;
}

EHI bool eh_get_bool(const eh_state *s, const char *key) {
	ehi_reader r = ehi_entry_value(s, key);
	return ehi_left(&r) == 1 && *r.at == EHI_TRUE;
}

/* A time; EH_NEVER when there is none. */
EHI int64_t eh_get_time(const eh_state *s, const char *key) {
	ehi_reader r = ehi_entry_value(s, key);
	int64_t v = ehi_int64(&r);
	return r.bad ? EH_NEVER : v;
}

EHI eh_string eh_get_text(const eh_state *s, const char *key) {
	ehi_reader r = ehi_entry_value(s, key);
	return ehi_raw(&r, EHI_TEXT, EHI_MAX_CONTEXT);
}

EHI eh_string eh_get_bytes(const eh_state *s, const char *key) {
	ehi_reader r = ehi_entry_value(s, key);
	return ehi_raw(&r, EHI_BYTES, EHI_MAX_CONTEXT);
}

/* Copies at most most numbers of a list, and returns how many there are. */
EHI uint32_t eh_get_floats(const eh_state *s, const char *key, double *to, uint32_t most) {
	ehi_reader r = ehi_entry_value(s, key);
	const uint8_t *column;
	uint32_t i, n = ehi_column64(&r, EHI_MAX_CONTEXT / 8, &column);
	for (i = 0; i < n && i < most; i++) to[i] = ehi_f64(column + 8 * i);
	return n;
}

/* Takes a key away. */
EHI void eh_delete(eh_state *s, const char *key) {
	ehi_entry *e = ehi_find_entry(s, key);
	if (e) *e = s->entries[--s->length];
}

/* The entry to fill; what is then written to s->put becomes its value with ehi_end_put. */
EHI ehi_entry *ehi_begin_put(eh_state *s, const char *key) {
	ehi_entry *e = ehi_find_entry(s, key);
	if (!e && s->length == EH_MAX_ENTRIES) {
		s->put.full = true;
		return s->entries;
	}
	if (!e) {
		e = s->entries + s->length++;
		e->key = ehi_string(key);
	}
	e->value.at = (const char *)s->put.at + s->put.length;
	return e;
}

EHI void ehi_end_put(eh_state *s, ehi_entry *e) {
	e->value.length = (uint32_t)((const char *)s->put.at + s->put.length - e->value.at);
}

EHI void eh_put_int(eh_state *s, const char *key, int64_t v) {
	ehi_entry *e = ehi_begin_put(s, key);
	ehi_put_int(&s->put, v);
	ehi_end_put(s, e);
}

EHI void eh_put_float(eh_state *s, const char *key, double v) {
	ehi_entry *e = ehi_begin_put(s, key);
	ehi_put_float(&s->put, v);
	ehi_end_put(s, e);
}

EHI void eh_put_bool(eh_state *s, const char *key, bool v) {
	ehi_entry *e = ehi_begin_put(s, key);
	ehi_byte(&s->put, v ? EHI_TRUE : EHI_FALSE);
	ehi_end_put(s, e);
}

/* A time, or EH_NEVER, which takes the key away. */
EHI void eh_put_time(eh_state *s, const char *key, int64_t v) {
	if (v == EH_NEVER)
		eh_delete(s, key);
	else
		eh_put_int(s, key, v);
}

EHI void eh_put_text(eh_state *s, const char *key, eh_string v) {
	ehi_entry *e = ehi_begin_put(s, key);
	ehi_put_text(&s->put, v);
	ehi_end_put(s, e);
}

EHI void eh_put_bytes(eh_state *s, const char *key, const void *from, uint32_t length) {
	ehi_entry *e = ehi_begin_put(s, key);
	ehi_put_head(&s->put, EHI_BYTES, length);
	ehi_put(&s->put, from, length);
	ehi_end_put(s, e);
}

EHI void eh_put_floats(eh_state *s, const char *key, const double *v, uint32_t n) {
	ehi_entry *e = ehi_begin_put(s, key);
	ehi_put_column64(&s->put, v, n);
	ehi_end_put(s, e);
}

/* ---- The calls of the host -------------------------------------------------------------------------------------- */

enum { EHI_OP_INIT = 0, EHI_OP_ANALYZE = 1, EHI_OP_PLAN = 2, EHI_OP_SNAPSHOT = 16, EHI_OP_MIGRATE = 17, EHI_OP_HEALTH = 18 };
enum { EHI_OK = 0, EHI_GUEST = 1, EHI_UNSUPPORTED = 2, EHI_INVALID = 5, EHI_TOO_LARGE = 6 };

static uint8_t ehi_request[EH_WINDOW], ehi_response[EH_WINDOW];
static uint8_t ehi_kept[EH_WINDOW];    /* the init message, which the next call overwrites */
static uint8_t ehi_put_memory[EH_STATE];
static eh_state ehi_state;
static eh_observation ehi_observation;
static bool ehi_ready;
static union { /* of one call alone */
	eh_verdict verdict;
	eh_plan plan;
} ehi_work;

/* An error message: what is empty is left out. */
static void ehi_put_error(ehi_writer *w, const char *code, eh_string message, bool retryable) {
	uint32_t n = (*code != 0) + (message.length != 0) + retryable;
	ehi_put_head(w, EHI_MAP, n);
	if (*code) {
		ehi_put_text(w, ehi_string("code"));
		ehi_put_text(w, ehi_string(code));
	}
	if (message.length) {
		ehi_put_text(w, ehi_string("message"));
		ehi_put_text(w, message);
	}
	if (retryable) {
		ehi_put_text(w, ehi_string("retryable"));
		ehi_byte(w, EHI_TRUE);
	}
}

EHI uint32_t ehi_malformed(void) {
	ehi_fail("abi.malformed", eh_t("the request can not be decoded"));
	return EHI_INVALID;
}

EHI uint32_t ehi_initialize(const eh_policy *p, uint32_t length) {
	ehi_reader r = ehi_read(ehi_kept, length);
	ehi_ready = false;
	ehi_copy(ehi_kept, ehi_request, length);
	if (!ehi_read_setup(&r, &ehi_setup)) return ehi_malformed();
	p->initialize(&ehi_setup);
	if (ehi_failure.code) return EHI_OK;
	ehi_ready = true;
	if (p->load && ehi_setup.context.length && ehi_read_state(&ehi_state, ehi_setup.context)) p->load(&ehi_state);
	return EHI_OK;
}

EHI uint32_t ehi_observe(uint32_t length) {
	ehi_reader r = ehi_read(ehi_request, length);
	if (!ehi_ready) {
		ehi_fail("policy.not-initialized", eh_t("analyze before init"));
		return EHI_GUEST;
	}
	return ehi_read_observation(&r, &ehi_observation) ? EHI_OK : ehi_malformed();
}

EHI uint32_t ehi_analyze(const eh_policy *p, uint32_t length, ehi_writer *w) {
	eh_verdict *v = &ehi_work.verdict;
	uint32_t status = ehi_observe(length);
	if (status) return status;
	v->act = false;
	v->next = 0;
	v->bounds = v->why.length = 0;
	p->analyze(&ehi_observation, v);
	ehi_put_analysis(w, ehi_observation.seq, v);
	return EHI_OK;
}

EHI uint32_t ehi_make_plan(const eh_policy *p, uint32_t length, ehi_writer *w) {
	eh_plan *plan = &ehi_work.plan;
	uint32_t status = ehi_observe(length);
	if (status) return status;
	plan->rows = plan->why.length = 0;
	p->plan(&ehi_observation, plan);
	ehi_put_plan(w, ehi_observation.seq, plan);
	return EHI_OK;
}

EHI uint32_t ehi_snapshot(const eh_policy *p, ehi_writer *w) {
	if (!p->save) return EHI_OK;
	if (!ehi_ready) {
		ehi_fail("policy.not-initialized", eh_t("analyze before init"));
		return EHI_GUEST;
	}
	p->save(&ehi_state);
	ehi_put_state(w, &ehi_state);
	return EHI_OK;
}

EHI bool ehi_read_migrate(ehi_reader *r, uint32_t *from, eh_string *context) {
	ehi_keys k = ehi_open(r);
	*from = context->length = 0;
	context->at = NULL;
	while (ehi_next(&k)) {
		if (ehi_same(k.key, "context"))
			*context = ehi_raw(r, EHI_BYTES, EHI_MAX_CONTEXT);
		else if (ehi_same(k.key, "from_schema"))
			*from = ehi_uint32(r);
		else
			ehi_skip(r, 0);
	}
	return ehi_finish(r);
}

EHI uint32_t ehi_migrate(const eh_policy *p, uint32_t length, ehi_writer *w) {
	ehi_reader r = ehi_read(ehi_request, length);
	eh_string context;
	uint32_t from;
	if (!p->migrate) {
		ehi_fail("policy.no-migration", eh_t("the policy has no function migrate"));
		return EHI_GUEST;
	}
	if (!ehi_read_migrate(&r, &from, &context)) return ehi_malformed();
	if (!ehi_read_state(&ehi_state, context)) return EHI_GUEST;
	p->migrate(from, &ehi_state);
	ehi_put_state(w, &ehi_state);
	return EHI_OK;
}

EHI uint32_t ehi_dispatch(const eh_policy *p, uint32_t op, uint32_t length, ehi_writer *w) {
	switch (op) {
	case EHI_OP_INIT: return ehi_initialize(p, length);
	case EHI_OP_ANALYZE: return ehi_analyze(p, length, w);
	case EHI_OP_PLAN: return ehi_make_plan(p, length, w);
	case EHI_OP_SNAPSHOT: return ehi_snapshot(p, w);
	case EHI_OP_MIGRATE: return ehi_migrate(p, length, w);
	case EHI_OP_HEALTH: return EHI_OK;
	}
	return EHI_UNSUPPORTED;
}

/* Answers one call: the status in the high half, the length of the response in the low one. */
EHI uint64_t ehi_call(const eh_policy *p, uint32_t op, uint32_t length) {
	ehi_writer w = {ehi_response, 0, sizeof ehi_response, false};
	uint32_t status = EHI_INVALID;
	ehi_failure.code = NULL;
	ehi_state.put.at = ehi_put_memory;
	ehi_state.put.capacity = sizeof ehi_put_memory;
	if (length <= sizeof ehi_request) status = ehi_dispatch(p, op, length, &w);
	if (ehi_failure.code) {
		if (status == EHI_OK) status = EHI_GUEST;
		w.length = 0;
		w.full = false;
		ehi_put_error(&w, ehi_failure.code, ehi_clip(&ehi_failure.message), false);
	}
	if (w.full) {
		status = EHI_TOO_LARGE;
		w.length = 0;
	}
	return (uint64_t)status << 32 | w.length;
}

#if defined(__wasm__)
#define EHI_EXPORT(name) __attribute__((export_name(name)))
#else
#define EHI_EXPORT(name)
#endif

/* What the host finds; answer is what a call with op and length comes to. */
#define EHI_EXPORTS(answer)                                                                                             \
	EHI_EXPORT("edgehold_abi_v1") void ehi_export_marker(void);                                                        \
	EHI_EXPORT("edgehold_abi_v1") void ehi_export_marker(void) {}                                                      \
	EHI_EXPORT("edgehold_window") uint32_t ehi_export_window(void);                                                    \
	EHI_EXPORT("edgehold_window") uint32_t ehi_export_window(void) {                                                   \
		static uint32_t record[4];                                                                                     \
		record[0] = (uint32_t)(uintptr_t)ehi_request;                                                                  \
		record[1] = sizeof ehi_request;                                                                                \
		record[2] = (uint32_t)(uintptr_t)ehi_response;                                                                 \
		record[3] = sizeof ehi_response;                                                                               \
		return (uint32_t)(uintptr_t)record;                                                                            \
	}                                                                                                                   \
	EHI_EXPORT("edgehold_call") uint64_t ehi_export_call(uint32_t op, uint32_t length);                                \
	EHI_EXPORT("edgehold_call") uint64_t ehi_export_call(uint32_t op, uint32_t length) { return answer; }              \
	EHI_EXPORT("_initialize") void ehi_export_initialize(void);                                                        \
	EHI_EXPORT("_initialize") void ehi_export_initialize(void) {}

/* EH_POLICY(.initialize = ..., .analyze = ..., .plan = ...) makes the file a policy: it defines what the host calls. */
#define EH_POLICY(...)                                                                                                  \
	static const eh_policy ehi_policy = {__VA_ARGS__};                                                                 \
	EHI_EXPORTS(ehi_call(&ehi_policy, op, length))

#endif
