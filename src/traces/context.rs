//! The W3C form of a span's context: in headers, and as one text in the work queue.
//!
//! Owns the check of what publishers send. Must never pass on a text that is not a valid context, nor one without bound.

use std::collections::HashMap;

use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;

use super::export;

/// The header of the context.
const PARENT: &str = "traceparent";
/// The header of what tracing systems add to it.
const STATE: &str = "tracestate";
/// Length of a `traceparent` of version 00; later versions may add fields, which are left out.
const PARENT_BYTES: usize = 55;
/// Longest `tracestate` that is passed on: W3C Trace Context, 3.3.1.5, asks for as many.
const MOST_STATE_BYTES: usize = 512;

/// Returns the context among the headers of a message, as [`from_text`] takes it. None if this worker exports no traces, or the
/// context is missing, invalid or not sampled.
pub fn parent<'h>(header: impl Fn(&str) -> Option<&'h str>) -> Option<Box<str>> {
    if export::is_on() { among(header) } else { None }
}

fn among<'h>(header: impl Fn(&str) -> Option<&'h str>) -> Option<Box<str>> {
    let parent = sampled(header(PARENT)?)?;
    let state = header(STATE).map(str::trim).filter(|state| is_printable(state));
    Some(match state {
        Some(state) => format!("{parent} {state}").into(),
        None => parent.into(),
    })
}

/// Returns the part of a `traceparent` that version 00 defines; none for an invalid one, and for a span that is not sampled. The
/// library takes ids of any length and with signs, so it is not asked here.
fn sampled(parent: &str) -> Option<&str> {
    let parent = parent.trim();
    let known = parent.get(..PARENT_BYTES)?;
    let [version, trace, span, flags] = [&known[..2], &known[3..35], &known[36..52], &known[53..]];
    let hex = |text: &str| text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
    let valid = [2, 35, 52].iter().all(|at| known.as_bytes()[*at] == b'-')
        && [version, trace, span, flags].into_iter().all(hex)
        && [trace, span].into_iter().all(|id| id.bytes().any(|c| c != b'0'))
        && version != "ff"
        && match &parent[PARENT_BYTES..] {
            "" => true,
            more => version != "00" && more.starts_with('-'),
        };
    let flags = u8::from_str_radix(flags, 16).ok()?;
    (valid && flags & 1 == 1).then_some(known)
}

/// Whether a value is short, and a text for headers and databases.
fn is_printable(value: &str) -> bool {
    (1..=MOST_STATE_BYTES).contains(&value.len()) && value.bytes().all(|c| matches!(c, b' '..=b'~'))
}

/// Returns the headers that pass a context on.
pub(super) fn headers(context: &Context) -> HashMap<String, String> {
    let mut headers = HashMap::new();
    TraceContextPropagator::new().inject_context(context, &mut headers);
    headers.retain(|_, value| is_printable(value));
    headers
}

/// Returns a context as one text.
pub(super) fn text(context: &Context) -> Option<String> {
    let mut headers = headers(context);
    let parent = headers.remove(PARENT)?;
    Some(match headers.remove(STATE) {
        Some(state) => format!("{parent} {state}"),
        None => parent,
    })
}

/// Parses the text of a context; an invalid one, which only a change by hand leaves in the database, is that of no span.
pub(super) fn from_text(text: &str) -> Context {
    let (parent, state) = text.split_once(' ').unwrap_or((text, ""));
    let headers = [(PARENT, parent), (STATE, state)].map(|(name, value)| (name.to_owned(), value.to_owned()));
    TraceContextPropagator::new().extract_with_context(&Context::new(), &HashMap::from(headers))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn only_a_valid_and_sampled_context_is_taken() {
        let more = format!("cc{}-more", &GOOD[2..]);
        for good in [GOOD, &format!(" {GOOD}\r"), &GOOD.replace("-01", "-03"), &more] {
            assert_eq!(
                sampled(good).map(|parent| &parent[2..52]),
                Some(&GOOD[2..52]),
                "{good}"
            );
        }
        for bad in [
            "",
            "00",
            &GOOD[..54],
            &GOOD.replace("-01", "-00"),
            &GOOD.to_uppercase(),
            &GOOD.replace("00-0", "ff-0"),
            &GOOD.replace("-0af", "-+af"),
            &GOOD.replace("b7ad6b7169203331", "0000000000000000"),
            &GOOD.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            &format!("{GOOD}-more"),
            &format!("{more}é").replace("-more", "more"),
            &"é".repeat(5_000),
            &GOOD.replace('-', "_"),
            &format!("{}é{}", &GOOD[..53], &GOOD[54..]),
        ] {
            assert_eq!(sampled(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_state_is_taken_if_headers_and_databases_can_hold_it() {
        assert!(is_printable("vendor=a:b,other=1"));
        for bad in ["", "a=\0", "a=é", "a=\t", &"a".repeat(10_000)] {
            assert!(!is_printable(bad), "{bad}");
        }
    }

    /// A taken context is one of the library's too, with the same ids, and fits into a header and a database.
    #[test]
    fn fuzz_contexts_of_traces() {
        rolekeeper_fuzz::fuzz("trace_contexts", |lines| {
            let lines = rolekeeper_fuzz::header_lines(lines);
            let lines: Vec<_> = lines
                .filter_map(|(name, value)| Some((name, str::from_utf8(value).ok()?)))
                .collect();
            let find = |wanted: &str| lines.iter().find(|(name, _)| *name == wanted.as_bytes());
            let Some(taken) = among(|wanted| Some(find(wanted)?.1)) else {
                return;
            };
            let again = text(&from_text(&taken)).expect("the context of a span");
            assert_eq!(again[2..52], taken[2..52]);
            assert!(again.len() <= PARENT_BYTES + 1 + MOST_STATE_BYTES, "{again}");
            assert!(
                is_printable(&again[..PARENT_BYTES]) && again.bytes().all(|c| c >= b' '),
                "{again}"
            );
        });
    }

    #[test]
    fn a_context_survives_as_text() {
        for state in ["", " vendor=a:b,other=1"] {
            let kept = format!("{GOOD}{state}");
            assert_eq!(text(&from_text(&kept)), Some(kept));
        }
        assert_eq!(text(&from_text("")), None);
        assert_eq!(text(&from_text(&format!("{GOOD} =,=\n"))).as_deref(), Some(GOOD));
    }
}
