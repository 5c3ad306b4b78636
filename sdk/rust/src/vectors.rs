//! Holds the codecs against wasmabi/testdata/vectors/flat.txt, whose form wasmabi/README.md describes.

use crate::{
    Duration, Metric, Observation,
    cbor::*,
    instance::{Failure, read_migrate},
    plan::{Plan, Rows},
    setup::Init,
    text::Text,
    verdict::{Bounds, Verdict},
};
use std::{boxed::Box, format, str::SplitWhitespace, string::String, vec, vec::Vec};

const VECTORS: &str = include_str!("../../../wasmabi/testdata/vectors/flat.txt");

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

#[test]
fn the_codecs_agree_with_the_vectors() {
    let mut lines = 0;
    for line in VECTORS.lines() {
        let mut words = line.splitn(4, ' ');
        let (message, name, bytes, want) = (words.next().unwrap(), words.next().unwrap(), unhex(words.next().unwrap()), words.next().unwrap());
        let refused = want == "refused";
        match message {
            "observation" | "init" | "migrate" => {
                let got = dump(message, &bytes);
                assert_eq!(got.as_deref().unwrap_or("refused"), want, "{name}");
            }
            _ if !refused => encode(message, want, &bytes, name),
            _ => continue,
        }
        lines += 1;
    }
    assert!(lines > 20, "there are only {lines} vectors");
}

fn dump(message: &str, b: &[u8]) -> Option<String> {
    let mut t = Tokens(vec![]);
    match message {
        "observation" => t.observation(&Observation::read(b)?),
        "init" => Init::read(b)?.dump(&mut t),
        _ => {
            let (from, context) = read_migrate(b)?;
            t.number(from);
            t.bytes(context);
        }
    }
    Some(t.0.join(" "))
}

/// Values as a flat line has them.
pub(crate) struct Tokens(Vec<String>);

impl Tokens {
    pub(crate) fn number(&mut self, v: impl std::fmt::Display) {
        self.0.push(format!("{v}"));
    }

    pub(crate) fn float(&mut self, v: f64) {
        let bits = if v.is_nan() { NAN } else { v.to_bits() };
        self.0.push(format!("{bits:016x}"));
    }

    pub(crate) fn bytes(&mut self, b: impl AsRef<[u8]>) {
        let hex: String = b.as_ref().iter().map(|b| format!("{b:02x}")).collect();
        self.0.push(format!("s{hex}"));
    }

    fn observation(&mut self, o: &Observation) {
        let (mut name, mut list) = ("", vec![]);
        let mut lists: Vec<(&str, Vec<String>)> = vec![];
        o.dump(&mut |field, v| {
            if field != name {
                lists.push((name, core::mem::take(&mut list)));
                name = match field {
                    "seq" => "seq",
                    "time_ns" => "time_ns",
                    "trigger" => "trigger",
                    "ids" => "ids",
                    "values" => "values",
                    "ages_ms" => "ages_ms",
                    "knob_ids" => "knob_ids",
                    _ => "knob_values",
                };
            }
            list.push(match field {
                "time_ns" => format!("{}", v as i64),
                "values" | "knob_values" => format!("{v:016x}"),
                _ => format!("{v}"),
            });
        });
        lists.push((name, list));
        let find = |field: &str| lists.iter().find(|l| l.0 == field).map_or(&[][..], |l| &l.1);
        for field in ["seq", "time_ns", "trigger"] {
            self.0.extend_from_slice(find(field));
        }
        for field in ["ids", "values", "ages_ms", "knob_ids", "knob_values"] {
            self.number(find(field).len());
            self.0.extend_from_slice(find(field));
        }
    }
}

/// The values of a flat line, one after the other.
struct Line<'a>(SplitWhitespace<'a>);

impl Line<'_> {
    fn number(&mut self) -> u64 {
        self.0.next().unwrap().parse().unwrap()
    }

    fn text(&mut self) -> String {
        String::from_utf8(unhex(&self.0.next().unwrap()[1..])).unwrap()
    }

    fn numbers(&mut self) -> Vec<u64> {
        (0..self.number()).map(|_| self.number()).collect()
    }

    fn floats(&mut self) -> Vec<f64> {
        (0..self.number()).map(|_| f64::from_bits(u64::from_str_radix(self.0.next().unwrap(), 16).unwrap())).collect()
    }
}

/// Encodes what a line holds, into memory of every size up to the one needed.
fn encode(message: &str, line: &str, want: &[u8], name: &str) {
    for capacity in 0..=want.len() {
        let mut memory = vec![0; capacity];
        let mut w = Writer::new(&mut memory);
        let mut line = Line(line.split_whitespace());
        match message {
            "analysis" => analysis(&mut line, &mut w),
            "plan" => plan(&mut line, &mut w),
            _ if name == "error-empty" || name == "error-retry" => return, // the kit writes no such errors
            _ => panic!("nobody encodes {message}"),
        }
        assert_eq!(w.full, capacity < want.len(), "{name}, {capacity} bytes");
        if capacity == want.len() {
            assert_eq!(memory, want, "{name}");
        }
    }
}

fn analysis(line: &mut Line, w: &mut Writer) {
    let (mut bounds, mut text, mut failure) = (Box::new(Bounds::new()), Text::new(), Failure::new());
    let seq = line.number();
    let mut v = Verdict {
        act: line.number() == 1,
        next: Duration::milliseconds(line.number() as i64),
        length: 0,
        bounds: &mut bounds,
        why: &mut text,
        failure: &mut failure,
    };
    v.why.str(&line.text());
    let (ids, above, below) = (line.numbers(), line.floats(), line.floats());
    for (i, id) in ids.iter().enumerate() {
        if above[i].is_nan() {
            v.wake_below(Metric(*id as u32 + 1), below[i]);
        } else {
            v.wake_above(Metric(*id as u32 + 1), above[i]);
        }
    }
    v.write(seq, w);
}

fn plan(line: &mut Line, w: &mut Writer) {
    let (mut rows, mut text, mut failure) = (Box::new(Rows::new()), Text::new(), Failure::new());
    let seq = line.number();
    let mut p = Plan { init: Init::default(), length: 0, rows: &mut rows, why: &mut text, failure: &mut failure };
    p.why.str(&line.text());
    let (mechanisms, verbs, knobs) = (line.numbers(), line.numbers(), line.numbers());
    let (values, leases) = (line.floats(), line.numbers());
    for i in 0..knobs.len() {
        p.row([mechanisms[i] as u32, verbs[i] as u32, knobs[i] as u32, leases[i] as u32], values[i]);
    }
    p.write(seq, w);
}
