//! Which requests get a span. It is given all chance, and keeps nothing.

use config::model::{Parent as Followed, Telemetry};

use super::context::{Context, Parent, SpanId, TraceId, trace_of};

/// Bits of a trace's id that are random in every form of it: all of an id of ours behind the time, and those that W3C Trace
/// Context (level 2, section 3.2.2.3) and OpenTelemetry ask for.
const RANDOM: u32 = 56;

/// Decides by the trace's id, so that every router decides alike.
#[derive(Clone, Copy, Debug)]
pub struct Sampler {
    /// Traces whose random part is below get no span.
    threshold: u64,
    followed: Followed,
}

/// What a request says of its trace.
#[derive(Clone, Copy, Debug, Default)]
pub struct Told<'a> {
    /// Its `traceparent`, when that is valid.
    pub parent: Option<Parent>,
    /// Root of its `X-Amzn-Trace-Id`, which it has in any case.
    pub root: Option<&'a [u8]>,
    /// Whether we made that root.
    pub is_root_ours: bool,
    /// Whether its peer is one of `trusted_proxies`.
    pub trusted: bool,
}

/// Ids that nobody else has; none is all zeros.
#[derive(Clone, Copy, Debug)]
pub struct Fresh {
    /// For our span.
    pub span: SpanId,
    /// For a new trace.
    pub trace: TraceId,
}

impl Sampler {
    /// What `telemetry` says.
    pub fn of(telemetry: &Telemetry) -> Self {
        let left_out = (1.0 - telemetry.sample).clamp(0.0, 1.0);
        Self {
            threshold: (left_out * (1_u64 << RANDOM) as f64).round() as u64,
            followed: telemetry.parent,
        }
    }

    /// Where the request is in its trace: in that of its parent; else in a new one, by the id of its `X-Amzn-Trace-Id`, so
    /// that a line of the log leads to its trace; else in that of `fresh`, which is drawn.
    pub fn context(&self, told: Told<'_>, fresh: Fresh) -> Context {
        let Fresh { span, trace } = fresh;
        let followed = self.followed == Followed::Any || told.trusted;
        if let Some(parent) = told.parent.filter(|_| followed) {
            return Context {
                trace: parent.trace,
                span,
                parent: Some(parent.span),
                sampled: parent.sampled,
            };
        }
        let root = told.root.filter(|_| followed || told.is_root_ours);
        let trace = root.and_then(trace_of).unwrap_or(trace);
        Context {
            trace,
            span,
            parent: None,
            sampled: self.keeps(&trace),
        }
    }

    /// Whether a trace that begins here gets a span.
    fn keeps(&self, trace: &TraceId) -> bool {
        let low = trace.last_chunk().expect("16 bytes are more than 8");
        u64::from_be_bytes(*low) & ((1 << RANDOM) - 1) >= self.threshold
    }
}

#[cfg(test)]
mod tests {
    use config::units::Duration;

    use super::*;

    fn sampler(sample: f64, followed: Followed) -> Sampler {
        Sampler::of(&Telemetry {
            otlp: "http://127.0.0.1:4318".into(),
            sample,
            parent: followed,
            service: "kanaria".into(),
            attributes: Default::default(),
            headers: Default::default(),
            timeout: Duration::seconds(10),
        })
    }

    const FRESH: Fresh = Fresh {
        span: [7; 8],
        trace: [7; 16],
    };

    fn parent(sampled: bool) -> Option<Parent> {
        Some(Parent {
            trace: [0xa; 16],
            span: [0xb; 8],
            sampled,
        })
    }

    #[test]
    fn the_flag_of_a_parent_beats_the_part() {
        for sample in [0.0, 1.0] {
            for sampled in [false, true] {
                let told = Told {
                    parent: parent(sampled),
                    ..Told::default()
                };
                let context = sampler(sample, Followed::Any).context(told, FRESH);
                let expect = Context {
                    trace: [0xa; 16],
                    span: [7; 8],
                    parent: Some([0xb; 8]),
                    sampled,
                };
                assert_eq!(context, expect);
            }
        }
    }

    #[test]
    fn of_those_who_are_not_trusted_nothing_is_followed() {
        let told = Told {
            parent: parent(true),
            root: Some(b"1-67891233-abcdef012345678912345678"),
            is_root_ours: false,
            trusted: false,
        };
        let context = |told| sampler(0.0, Followed::Trusted).context(told, FRESH);
        let stranger = context(told);
        assert_eq!(
            (stranger.trace, stranger.parent, stranger.sampled),
            ([7; 16], None, false)
        );
        let ours = context(Told {
            is_root_ours: true,
            ..told
        });
        assert_eq!(ours.trace[..4], [0x67, 0x89, 0x12, 0x33]);
        let trusted = context(Told {
            trusted: true,
            ..told
        });
        assert_eq!((trusted.trace, trusted.sampled), ([0xa; 16], true));
    }

    #[test]
    fn a_new_trace_has_the_id_of_the_root() {
        let root = |root| {
            let told = Told {
                root,
                ..Told::default()
            };
            sampler(1.0, Followed::Any).context(told, FRESH)
        };
        let context = root(Some(b"1-67891233-abcdef012345678912345678"));
        assert_eq!(context.trace[..5], [0x67, 0x89, 0x12, 0x33, 0xab]);
        assert!(context.parent.is_none() && context.sampled);
        // One of another form is none of ours.
        assert_eq!(root(Some(b"1-x")).trace, [7; 16]);
        assert_eq!(root(None).trace, [7; 16]);
    }

    #[test]
    fn the_part_is_exact_and_a_larger_one_keeps_what_a_smaller_one_keeps() {
        // The low 56 bits in even steps.
        let traces = (0..10_000_u64).map(|n| {
            let low = n * ((1 << 56) / 10_000);
            let mut trace = [0xff; 16];
            trace[9..].copy_from_slice(&low.to_be_bytes()[1..]);
            trace
        });
        let traces: Vec<TraceId> = traces.collect();
        let mut before: Vec<bool> = vec![false; traces.len()];
        for (sample, expect) in [
            (0.0, 0),
            (0.0001, 1),
            (0.01, 100),
            (0.1, 1_000),
            (0.5, 5_000),
            (1.0, 10_000),
        ] {
            let sampler = sampler(sample, Followed::Any);
            let kept: Vec<bool> = traces.iter().map(|trace| sampler.keeps(trace)).collect();
            let n = kept.iter().filter(|kept| **kept).count();
            assert!(n.abs_diff(expect) <= 1, "{sample}: {n}");
            assert!(
                before
                    .iter()
                    .zip(&kept)
                    .all(|(before, now)| !before || *now)
            );
            before = kept;
        }
        let none = sampler(0.0, Followed::Any);
        assert!(!none.keeps(&[0xff; 16]) && sampler(1.0, Followed::Any).keeps(&[0; 16]));
    }
}
