//! The policy of ../go, written with the Extism project's kit for Rust.

use std::collections::BTreeMap;

use extism_pdk::*;
use serde::{Deserialize, Serialize};

const BUSY: &str = "node_cpu_utilisation_ratio";

#[derive(Deserialize)]
struct Observation {
    metrics: BTreeMap<String, Metric>,
    knobs: BTreeMap<String, Knob>,
}

#[derive(Deserialize)]
struct Metric {
    value: Option<f64>,
}

#[derive(Deserialize)]
struct Knob {
    value: serde_json::Value,
    min: Option<f64>,
    max: Option<f64>,
}

#[derive(Serialize)]
struct Bound {
    metric: &'static str,
    above: f64,
    below: f64,
}

#[derive(Serialize)]
struct Verdict {
    plan: bool,
    why: String,
    bounds: Vec<Bound>,
}

#[derive(Serialize)]
struct Change {
    knob: String,
    value: f64,
}

#[derive(Serialize)]
struct Plan {
    why: String,
    changes: Vec<Change>,
}

fn high() -> f64 {
    config::get("high").ok().flatten().and_then(|text| text.parse().ok()).unwrap_or(0.8)
}

impl Observation {
    fn load(&self) -> Result<f64, Error> {
        self.metrics.get(BUSY).and_then(|m| m.value).ok_or_else(|| Error::msg("utilisation is not known"))
    }

    fn targets(&self, load: f64) -> Vec<Change> {
        let pick = |k: &Knob| if load > high() { k.max } else { k.min };
        self.knobs
            .iter()
            .filter(|(name, _)| name.ends_with("/max_frequency"))
            .filter_map(|(name, k)| pick(k).map(|value| Change { knob: name.clone(), value }))
            .collect()
    }
}

#[plugin_fn]
pub fn analyze(Json(o): Json<Observation>) -> FnResult<Json<Verdict>> {
    let load = o.load()?;
    info!("utilisation {}", load);
    let plan = o.targets(load).iter().any(|c| o.knobs[&c.knob].value.as_f64() != Some(c.value));
    Ok(Json(Verdict {
        plan,
        why: format!("utilisation {}, high {}", load, high()),
        bounds: vec![Bound { metric: BUSY, above: high(), below: high() }],
    }))
}

#[plugin_fn]
pub fn plan(Json(o): Json<Observation>) -> FnResult<Json<Plan>> {
    let count = var::get::<String>("count")?.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0) + 1;
    var::set("count", count.to_string())?;
    let load = o.load()?;
    Ok(Json(Plan { why: format!("plan {}", count), changes: o.targets(load) }))
}
