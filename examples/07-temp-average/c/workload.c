/* The moving average of ../workload.go in C: the same outputs for the same inputs. */

#include "../../../sdk/c/edgehold_workload.h"

enum { MAX_WINDOW = 64 }; /* the manifest's bound of the parameter */

static struct {
	eh_place temperature, out;
	double readings[MAX_WINDOW];
	uint32_t window, seen; /* seen: of all time */
} self;

static void start(const eh_start *s) {
	self.temperature = eh_find_property(s, "temperature");
	self.out = eh_find_output(s, "temp_avg");
	self.window = (uint32_t)eh_start_parameter(s, "window");
	self.seen = 0;
}

static void add(eh_turn *t, double v) {
	uint32_t i, n;
	double sum = 0;
	self.readings[self.seen % self.window] = v;
	self.seen++;
	n = self.seen < self.window ? self.seen : self.window;
	for (i = 0; i < n; i++) sum += self.readings[i];
	eh_emit(t, self.out, sum / n);
}

/* Takes the sensor's value; a device without one averages what comes in. */
static void tick(eh_turn *t) {
	double v;
	if (eh_read_number(self.temperature, &v)) add(t, v);
}

static void input(eh_turn *t, const eh_item *in) { add(t, in->number); }

EH_WORKLOAD(.start = start, .input = input, .tick = tick)
