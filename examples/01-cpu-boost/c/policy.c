/* The policy of ../policy.go in C: it raises the CPU's frequency limit while the node is busy, and lowers it when the node has
 * been calm for a while. */
#include "../../../sdk/c/edgehold.h"

/* Modes that the policy is in; they last from one episode to the next. */
enum { MODE_NONE, MODE_BOOST, MODE_SAVE };

#define LEASE (30 * EH_SECOND) /* so that the limits fall back should the policy be removed */
#define STALE (15 * EH_SECOND) /* an older value says nothing about now */

static struct {
	eh_metric busy;
	eh_knobs limits;
	double high, low;
	int64_t calm;

	int64_t mode;
	int64_t calm_since;
} self = {.calm_since = EH_NEVER};

static void initialize(const eh_setup *s) {
	self.busy = eh_find_metric(s, "node_cpu_utilisation_ratio");
	self.limits = eh_find_knobs(s, "CPUFrequency", "*/max_frequency");
	self.high = eh_parameter(s, "high");
	self.low = eh_parameter(s, "low");
	self.calm = eh_seconds(eh_parameter(s, "calm"));
}

/* Keeps the mode: by renewing its leases, if there is something to hold. */
#define hold(v, ...) (eh_decide(v, self.mode != MODE_NONE, __VA_ARGS__), eh_wake_above(v, self.busy, self.high))

/* Lowers the limits once the node has been calm for long enough. */
static void calm_down(int64_t now, double busy, eh_verdict *v) {
	int64_t calm;
	if (self.calm_since == EH_NEVER) self.calm_since = now;
	calm = eh_since(self.calm_since, now);
	if (calm < self.calm) {
		hold(v, eh_t("utilisation "), eh_n(busy), eh_t(" is below "), eh_n(self.low), eh_t(" for "), eh_d(calm), eh_t(" of "), eh_d(self.calm));
		eh_next(v, self.calm - calm);
		return;
	}
	self.mode = MODE_SAVE;
	eh_act(v, eh_t("utilisation "), eh_n(busy), eh_t(" is below "), eh_n(self.low), eh_t(" for "), eh_d(self.calm));
	eh_wake_above(v, self.busy, self.high);
}

static void analyze(const eh_observation *o, eh_verdict *v) {
	double busy;
	if (!eh_fresh(o, self.busy, STALE, &busy)) {
		eh_stay(v, eh_t("there is no fresh utilisation"));
	} else if (busy > self.high) {
		self.mode = MODE_BOOST;
		self.calm_since = EH_NEVER;
		eh_act(v, eh_t("utilisation "), eh_n(busy), eh_t(" is above "), eh_n(self.high));
		eh_wake_below(v, self.busy, self.low);
	} else if (busy >= self.low) {
		self.calm_since = EH_NEVER;
		hold(v, eh_t("utilisation "), eh_n(busy), eh_t(" is between "), eh_n(self.low), eh_t(" and "), eh_n(self.high));
	} else {
		calm_down(o->time, busy, v);
	}
}

static void plan(const eh_observation *o, eh_plan *p) {
	(void)o;
	eh_for(self.mode == MODE_BOOST ? eh_set_max(p, self.limits) : eh_set_min(p, self.limits), LEASE);
}

static void save(eh_state *s) {
	eh_put_int(s, "mode", self.mode);
	eh_put_time(s, "calm_since", self.calm_since);
}

static void load(const eh_state *s) {
	self.mode = eh_get_int(s, "mode");
	self.calm_since = eh_get_time(s, "calm_since");
}

EH_POLICY(.initialize = initialize, .analyze = analyze, .plan = plan, .save = save, .load = load)
