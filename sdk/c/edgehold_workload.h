/* edgehold_workload.h: what the author of an Edgehold workload in C includes: code on a device that turns inputs into outputs.
 *
 * It stands on edgehold.h, and is as small: no library, no allocation, windows of 4 KiB. A workload is one source file:
 *
 *     #include "edgehold_workload.h"
 *
 *     static struct { eh_place out; double sum; uint32_t n; } self;
 *
 *     static void start(const eh_start *s) { self.out = eh_find_output(s, "temp_avg"); }
 *
 *     static void input(eh_turn *t, const eh_item *in) {
 *         self.sum += in->number;
 *         eh_emit(t, self.out, self.sum / ++self.n);
 *     }
 *
 *     EH_WORKLOAD(.start = start, .input = input)
 *
 * Unlike a policy's, a workload's instance lives from start to stop: variables keep their values. A function that can't do its work
 * calls eh_fail_workload; the workload goes on, and the device reports it. A look-up that finds nothing fails the start by itself.
 */
#ifndef EDGEHOLD_WORKLOAD_H
#define EDGEHOLD_WORKLOAD_H

#ifndef EH_WINDOW
#define EH_WINDOW 4096 /* bytes of each window */
#endif
#ifndef EH_STATE
#define EH_STATE 1
#endif
#ifndef EH_MAX_BOUNDS
#define EH_MAX_BOUNDS 1
#endif
#ifndef EH_MAX_ROWS
#define EH_MAX_ROWS 1
#endif
#ifndef EH_MAX_ENTRIES
#define EH_MAX_ENTRIES 1
#endif
#ifndef EH_MAX_EMITTED
#define EH_MAX_EMITTED 64 /* numbers, and bytes, of one turn */
#endif

#include "edgehold.h"

/* An output, property or knob, by its place in the manifest. A place that is all zeros is none. */
typedef struct {
	uint32_t number; /* the place plus one */
} eh_place;

/* What comes in at an input: a number, or bytes where at is not NULL. They hold until the function returns. */
typedef struct {
	uint32_t input; /* its place in the manifest */
	double number;
	const uint8_t *at;
	uint32_t length;
} eh_item;

/* The request of the start. It holds while start runs. */
typedef struct {
	eh_string name, device;
	int64_t time;
	ehi_items outputs, properties, knobs, parameter_names;
	const uint8_t *parameters;
	uint32_t parameters_length;
} eh_start;

/* One turn: an input, or a tick. */
typedef struct {
	int64_t time; /* nanoseconds since the Unix epoch */
	uint32_t next_ms, rows, texts;
	uint32_t ids[EH_MAX_EMITTED];
	double values[EH_MAX_EMITTED];
	uint32_t data_ids[EH_MAX_EMITTED];
	eh_string data[EH_MAX_EMITTED]; /* into memory of the workload's, which has to hold until the function returns */
} eh_turn;

/* The functions of a workload; start is needed, and input or tick. */
typedef struct {
	void (*start)(const eh_start *);
	void (*input)(eh_turn *, const eh_item *);
	void (*tick)(eh_turn *);
	void (*stop)(eh_turn *);
} eh_workload;

enum { EHI_OP_START = 7, EHI_OP_INPUT = 8, EHI_OP_TICK = 9, EHI_OP_STOP = 10 };
enum { EHI_MAX_BATCH = 64, EHI_MAX_PORTS = 64 };
enum { EHI_READ = 64, EHI_KNOB_GET = 65, EHI_KNOB_SET = 66 };

/* eh_fail_workload(parts...) says why a function could not do its work. What it emitted is lost. */
#define eh_fail_workload(...) ehi_fail("workload.failed", __VA_ARGS__)

/* ---- The start -------------------------------------------------------------------------------------------------- */

EHI eh_place ehi_place(ehi_items names, const char *what, const char *name) {
	ehi_reader r = ehi_walk(names);
	eh_place p = {0};
	uint32_t i;
	for (i = 0; i < names.length; i++)
		if (ehi_same(ehi_name(&r), name)) {
			p.number = i + 1;
			return p;
		}
	ehi_fail("workload.not-found", eh_t("the manifest has no "), eh_s(ehi_string(what)), eh_t(" "), eh_s(ehi_string(name)));
	return p;
}

EHI eh_place eh_find_output(const eh_start *s, const char *name) { return ehi_place(s->outputs, "output", name); }
EHI eh_place eh_find_property(const eh_start *s, const char *name) { return ehi_place(s->properties, "property", name); }
EHI eh_place eh_find_device_knob(const eh_start *s, const char *name) { return ehi_place(s->knobs, "knob", name); }

EHI double eh_start_parameter(const eh_start *s, const char *name) {
	eh_place p = ehi_place(s->parameter_names, "parameter", name);
	return p.number ? ehi_f64(s->parameters + 8 * (p.number - 1)) : 0;
}

EHI bool ehi_read_start(ehi_reader *r, eh_start *s) {
	static const eh_start none;
	ehi_keys k = ehi_open(r);
	*s = none;
	while (ehi_next(&k)) {
		if (ehi_same(k.key, "name"))
			s->name = ehi_name(r);
		else if (ehi_same(k.key, "device"))
			s->device = ehi_name(r);
		else if (ehi_same(k.key, "time_ns"))
			s->time = ehi_int64(r);
		else if (ehi_same(k.key, "outputs"))
			s->outputs = ehi_names(r, EHI_MAX_PORTS);
		else if (ehi_same(k.key, "properties"))
			s->properties = ehi_names(r, EHI_MAX_PORTS);
		else if (ehi_same(k.key, "knobs"))
			s->knobs = ehi_names(r, EHI_MAX_PORTS);
		else if (ehi_same(k.key, "parameter_names"))
			s->parameter_names = ehi_names(r, EHI_MAX_PARAMETERS);
		else if (ehi_same(k.key, "parameters"))
			s->parameters_length = ehi_column64(r, EHI_MAX_PARAMETERS, &s->parameters);
		else
			ehi_skip(r, 0);
	}
	if (s->parameters_length != s->parameter_names.length) ehi_bad(r);
	return ehi_finish(r);
}

/* ---- A turn ----------------------------------------------------------------------------------------------------- */

EHI bool ehi_room(eh_place out, uint32_t have) {
	if (!out.number) ehi_fail("workload.failed", eh_t("an output is used that was not found at the start"));
	if (have == EH_MAX_EMITTED) ehi_fail("workload.too-many", eh_t("one turn emitted more than it may"));
	return out.number && have < EH_MAX_EMITTED;
}

EHI void eh_emit(eh_turn *t, eh_place out, double value) {
	if (!ehi_room(out, t->rows)) return;
	t->ids[t->rows] = out.number - 1;
	t->values[t->rows++] = value;
}

EHI void eh_emit_bytes(eh_turn *t, eh_place out, const void *at, uint32_t length) {
	eh_string s = {(const char *)at, length};
	if (!ehi_room(out, t->texts)) return;
	t->data_ids[t->texts] = out.number - 1;
	t->data[t->texts++] = s;
}

/* The next tick comes after so long, and not after the manifest's. */
EHI void eh_next_tick(eh_turn *t, uint32_t milliseconds) { t->next_ms = milliseconds; }

#if defined(__wasm__)
__attribute__((import_module("edgehold1"), import_name("call"))) uint64_t ehi_host_call(uint32_t handle, uint32_t op, const void *in,
	uint32_t in_length, void *out, uint32_t capacity);
#else
uint64_t ehi_host_call(uint32_t handle, uint32_t op, const void *in, uint32_t in_length, void *out, uint32_t capacity);
#endif

/* Asks the device; what does not fit is no answer. */
EHI bool ehi_ask(uint32_t op, eh_place p, const char *text, void *out, uint32_t capacity, uint32_t *length) {
	uint8_t in[4 + 64];
	uint32_t i, n = ehi_length(text);
	uint64_t answer;
	if (!p.number || n > sizeof in - 4) return false;
	for (i = 0; i < 4; i++) in[i] = (uint8_t)((p.number - 1) >> 8 * i);
	ehi_copy(in + 4, text, n);
	answer = ehi_host_call(0, op, in, n + 4, out, capacity);
	*length = (uint32_t)answer;
	return answer >> 32 == EHI_OK && *length <= capacity;
}

/* Reads a property that is a number; false where the device has no value now. */
EHI bool eh_read_number(eh_place property, double *value) {
	uint8_t raw[8];
	uint32_t length;
	if (!ehi_ask(EHI_READ, property, "", raw, sizeof raw, &length) || length != sizeof raw) return false;
	*value = ehi_f64(raw);
	return true;
}

/* Reads a property of bytes, or a knob's position as text. */
EHI bool eh_read_bytes(eh_place property, void *out, uint32_t capacity, uint32_t *length) {
	return ehi_ask(EHI_READ, property, "", out, capacity, length);
}

EHI bool eh_get_knob(eh_place knob, char *out, uint32_t capacity, uint32_t *length) {
	return ehi_ask(EHI_KNOB_GET, knob, "", out, capacity, length);
}

/* Turns a knob to a choice, or to a number as text. */
EHI bool eh_turn_knob(eh_place knob, const char *value) {
	uint8_t none[1];
	uint32_t length;
	return ehi_ask(EHI_KNOB_SET, knob, value, none, 0, &length);
}

/* ---- The calls of the host -------------------------------------------------------------------------------------- */

static eh_turn ehi_turn;
static bool ehi_started;

static void ehi_put_emission(ehi_writer *w, const eh_turn *t) {
	uint32_t i;
	ehi_put_head(w, EHI_ARRAY, 5);
	ehi_put_head(w, EHI_UINT, t->next_ms);
	ehi_put_column32(w, t->ids, t->rows);
	ehi_put_column64(w, t->values, t->rows);
	ehi_put_column32(w, t->data_ids, t->texts);
	ehi_put_head(w, EHI_ARRAY, t->texts);
	for (i = 0; i < t->texts; i++) {
		ehi_put_head(w, EHI_BYTES, t->data[i].length);
		ehi_put(w, t->data[i].at, t->data[i].length);
	}
}

EHI uint32_t ehi_begin(const eh_workload *p, uint32_t length) {
	ehi_reader r = ehi_read(ehi_request, length);
	eh_start s;
	if (!ehi_read_start(&r, &s)) return ehi_malformed();
	ehi_turn.time = s.time;
	p->start(&s);
	ehi_started = !ehi_failure.code;
	return EHI_OK;
}

/* Reads a whole batch before the first item of it is handed on. */
EHI bool ehi_read_input(ehi_reader *r, eh_turn *t, const uint8_t *columns[3], uint32_t lengths[2], ehi_reader *data) {
	uint32_t i;
	ehi_exactly(r, 5);
	t->time = ehi_int64(r);
	lengths[0] = ehi_column32(r, EHI_MAX_BATCH, &columns[0]);
	if (ehi_column64(r, EHI_MAX_BATCH, &columns[1]) != lengths[0]) ehi_bad(r);
	lengths[1] = ehi_column32(r, EHI_MAX_BATCH, &columns[2]);
	if (ehi_list(r, EHI_MAX_BATCH) != lengths[1]) ehi_bad(r);
	*data = *r;
	for (i = 0; i < lengths[1]; i++) ehi_raw(r, EHI_BYTES, EH_WINDOW);
	return ehi_finish(r);
}

EHI uint32_t ehi_take(const eh_workload *p, uint32_t op, uint32_t length) {
	ehi_reader r = ehi_read(ehi_request, length), data;
	const uint8_t *columns[3];
	uint32_t i, lengths[2];
	if (!ehi_read_input(&r, &ehi_turn, columns, lengths, &data)) return ehi_malformed();
	if (op == EHI_OP_TICK) {
		if (!p->tick) return EHI_UNSUPPORTED;
		p->tick(&ehi_turn);
		return EHI_OK;
	}
	if (!p->input) ehi_fail("workload.no-input", eh_t("the workload has no function input"));
	for (i = 0; i < lengths[0] && !ehi_failure.code; i++) {
		eh_item item = {ehi_u32(columns[0] + 4 * i), ehi_f64(columns[1] + 8 * i), NULL, 0};
		p->input(&ehi_turn, &item);
	}
	for (i = 0; i < lengths[1] && !ehi_failure.code; i++) {
		eh_string b = ehi_raw(&data, EHI_BYTES, EH_WINDOW);
		eh_item item = {ehi_u32(columns[2] + 4 * i), 0, (const uint8_t *)b.at, b.length};
		p->input(&ehi_turn, &item);
	}
	return EHI_OK;
}

EHI uint32_t ehi_turn_of(const eh_workload *p, uint32_t op, uint32_t length) {
	if (op == EHI_OP_HEALTH) return EHI_OK;
	if (op == EHI_OP_START) return ehi_begin(p, length);
	if (op < EHI_OP_START || op > EHI_OP_STOP) return EHI_UNSUPPORTED;
	if (!ehi_started) {
		ehi_fail("workload.not-started", eh_t("called before start"));
		return EHI_OK;
	}
	if (op != EHI_OP_STOP) return ehi_take(p, op, length);
	ehi_started = false;
	if (p->stop) p->stop(&ehi_turn);
	return EHI_OK;
}

/* Answers one call: the status in the high half, the length of the response in the low one. */
EHI uint64_t ehi_work_call(const eh_workload *p, uint32_t op, uint32_t length) {
	ehi_writer w = {ehi_response, 0, sizeof ehi_response, false};
	uint32_t status = EHI_INVALID;
	ehi_failure.code = NULL;
	ehi_turn.rows = ehi_turn.texts = ehi_turn.next_ms = 0;
	if (length <= sizeof ehi_request) status = ehi_turn_of(p, op, length);
	if (ehi_failure.code) {
		if (status == EHI_OK) status = EHI_GUEST;
		ehi_put_error(&w, ehi_failure.code, ehi_clip(&ehi_failure.message), false);
	} else if (status == EHI_OK) {
		ehi_put_emission(&w, &ehi_turn);
	}
	if (w.full) {
		status = EHI_TOO_LARGE;
		w.length = 0;
	}
	return (uint64_t)status << 32 | w.length;
}

/* EH_WORKLOAD(.start = ..., .input = ..., .tick = ...) makes the file a workload: it defines what the host calls. */
#define EH_WORKLOAD(...)                                                                                                \
	static const eh_workload ehi_workload = {__VA_ARGS__};                                                             \
	EHI_EXPORTS(ehi_work_call(&ehi_workload, op, length))

#endif
