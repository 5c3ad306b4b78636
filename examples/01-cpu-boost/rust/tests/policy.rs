use cpu_boost::Boost;
use edgehold_policy::{testing::Node, Duration};

const LIMIT: &str = "policy0/max_frequency";
const BUSY: &str = "node_cpu_utilisation_ratio";

fn node() -> Node<Boost> {
    let mut n = Node::new();
    n.metric(BUSY);
    n.parameter("high", 0.8);
    n.parameter("low", 0.3);
    n.parameter("calm", 10.0);
    n.knob("CPUFrequency", LIMIT, 800e6, 3.5e9, "Hz");
    n
}

#[test]
fn a_busy_node_is_boosted() {
    let mut n = node();
    n.episode(&[(BUSY, 0.5)]).want_stay("between");
    let e = n.episode(&[(BUSY, 0.95)]);
    e.want_act("utilisation 0.95 is above 0.8");
    e.want_set(LIMIT, 3.5e9);
}

#[test]
fn a_calm_node_is_slowed_after_a_while() {
    let mut n = node();
    n.episode(&[(BUSY, 0.95)]).want_set(LIMIT, 3.5e9);
    let e = n.episode(&[(BUSY, 0.1)]);
    e.want_act("for 0s of 10s");
    assert_eq!(e.next, Duration::seconds(10));
    n.advance(Duration::seconds(10));
    let e = n.episode(&[(BUSY, 0.1)]);
    e.want_act("below 0.3 for 10s");
    e.want_set(LIMIT, 800e6);
}

#[test]
fn a_boost_ends_with_its_lease() {
    let mut n = node();
    n.episode(&[(BUSY, 0.95)]);
    assert_eq!(n.knob_value(LIMIT), 3.5e9);
    n.advance(Duration::seconds(30));
    assert_eq!(n.knob_value(LIMIT), 800e6);
}

#[test]
fn silence_changes_nothing() {
    let mut n = node();
    n.episode(&[]).want_stay("no fresh utilisation");
    n.age(Duration::seconds(16));
    n.episode(&[(BUSY, 1.0)]).want_stay("no fresh utilisation");
}

#[test]
fn a_node_without_the_metric_is_refused() {
    let mut n = Node::<Boost>::new();
    n.metric("node_load1");
    let e = n.attempt(&[]).unwrap_err();
    assert!(e.contains("there is no metric node_cpu_utilisation_ratio; there is node_load1"), "{e}");
}
