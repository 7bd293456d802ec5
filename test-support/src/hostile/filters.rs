//! Attacks by a filter and a document that were made for each other.

use super::answers::{MIB, array, head, many, plain, zipped};
use super::{Attack, asked_large, attack};

pub(super) fn attacks() -> Vec<Attack> {
    vec![
        asked_large("1000 × $ignoreCaseEquals", "a thousand conditions that fold case, on 10 MiB (took 29 s)", || many(|n| format!(r#"{{"$ignoreCaseEquals":"t{n}"}}"#)),
            || zipped(format!(r#"{{"status":"{}"}}"#, "x".repeat(10 * MIB - 100))),
        ),
        asked_large("1000 × $contains", "a thousand conditions on 10 MiB of text", || many(|n| format!(r#"{{"$contains":"needle {n}"}}"#)),
            || zipped(format!(r#"{{"status":"{}"}}"#, "needle ".repeat(1_400_000))),
        ),
        asked_large("1000 fields", "a thousand fields of a large object", || {
                let fields: Vec<String> = (0..1000).map(|n| format!(r#"{{"f{n}":1}}"#)).collect();
                format!(r#""responseFilter":{{"body":{{"$or":[{}]}}}}"#, fields.join(","))
            },
            || {
                let members: Vec<String> = (0..700_000).map(|n| format!(r#""k{n}":0"#)).collect();
                zipped(format!("{{{}}}", members.join(",")))
            },
        ),
        asked_large("$regex", "a pattern whose automaton does not fit, on text that visits all of it", || r#""responseFilter":{"body":{"status":{"$regex":"[01]*1[01]{200}2"}}}"#.to_owned(),
            || {
                let bits: String = (0..10 * MIB - 100)
                    .map(|n: usize| if n.wrapping_mul(2_654_435_761) >> 13 & 1 == 0 { '0' } else { '1' })
                    .collect();
                zipped(format!(r#"{{"status":"{bits}"}}"#))
            },
        ),
        asked_large("follow", "a link in a tree of 10 MiB", || r#""follow":{"body":"/status/0/a"},"responseFilter":{"body":{"x":[1]}}"#.to_owned(),
            || zipped(format!(r#"{{"status":{}}}"#, array(r#"{"a":0}"#, 10 * MIB - 100))),
        ),
        asked_large("text", "conditions on a text of 10 MiB", || r#""responseFilter":{"text":{"$contains":"SUCCESS"}}"#.to_owned(),
            || zipped("SUCCES ".repeat(1_400_000)),
        ),
        asked_large("in a row", "a filter that wants ten long responses in a row", || r#""responseFilter":{"status":[200],"consecutive":10000}"#.to_owned(),
            || zipped(format!(r#"{{"status":"{}"}}"#, "x".repeat(10 * MIB - 100))),
        ),

        asked_large(
            "marks",
            "five million accents on one letter, against a comparison that folds case",
            || r#""responseFilter":{"body":{"status":{"$ignoreCaseEquals":"a\u0316\u0301\u0316\u0301"}}}"#.to_owned(),
            || zipped(format!(r#"{{"status":"a{}"}}"#, "\u{301}\u{316}".repeat(2_600_000))),
        ),
        asked_large(
            "case",
            "letters that become longer with another case, against a comparison that folds it",
            || format!(r#""responseFilter":{{"body":{{"status":{{"$ignoreCaseEquals":"{}"}}}}}}"#, "\u{df}".repeat(10_000)),
            || zipped(format!(r#"{{"status":"{}"}}"#, "\u{1e9e}".repeat(3_400_000))),
        ),
        asked_large(
            "wildcards",
            "a hundred patterns of any letters, on text that nearly matches",
            || {
                let patterns: Vec<String> = (0..100)
                    .map(|n| format!(r#"{{"$regex":"(a|aa)+.*b{n}$"}}"#))
                    .collect();
                format!(r#""responseFilter":{{"body":{{"status":[{}]}}}}"#, patterns.join(","))
            },
            || zipped(format!(r#"{{"status":"{}"}}"#, "a".repeat(10 * MIB - 100))),
        ),
        asked_large(
            "all elements",
            "a condition on every element within every element",
            || r#""responseFilter":{"body":{"status":{"$every":{"a":{"$some":{"$gt":5}}}}}}"#.to_owned(),
            || zipped(format!(r#"{{"status":{}}}"#, array(r#"{"a":[0,0,0,0,0,0,9]}"#, 10 * MIB - 100))),
        ),
        asked_large(
            "deep path",
            "a condition a hundred fields deep, in a document that has them again and again",
            || {
                let (open, close) = (r#"{"a":"#.repeat(60), "}".repeat(60));
                format!(r#""responseFilter":{{"body":{open}[1]{close}}}"#)
            },
            || {
                let nest = [r#"{"a":"#.repeat(61), "0".to_owned(), "}".repeat(61)].concat();
                zipped(format!(r#"{{{}"b":0}}"#, format!(r#""a":{nest},"#).repeat(24_000)))
            },
        ),
        asked_large(
            "both filters",
            "two filters on text and a failure filter, on 10 MiB",
            || {
                r#""responseFilter":{"text":{"$contains":"xxxxxxxxxxxxxxxy"},"body":{"status":{"$contains":"xxy"}}},"failureFilter":{"text":{"$endsWith":"y"}}"#
                    .to_owned()
            },
            || zipped(format!(r#"{{"status":"{}"}}"#, "x".repeat(10 * MIB - 100))),
        ),
        asked_large(
            "echoed secret",
            "a secret of a million bytes, echoed in 10 MiB and quoted in the explanation (took 12 s)",
            || {
                let words: String = (0..60_000).map(|n| format!("word-{n:07} ")).collect();
                format!(
                    r#""requestInit":{{"method":"POST","body":{{"__redactedString":true,"strings":["",""],"interpolations":["{words}"]}}}},"responseFilter":{{"body":{{"status":["SUCCESS"]}}}}"#
                )
            },
            || zipped(format!(r#"{{"status":"{}"}}"#, "word-0000001 word-".repeat(580_000))),
        ),
        attack("echoed headers", "forty secrets in headers, echoed in every form", || {
            let echo: String = (0..40).map(|n| format!("tOkEn-{n}-aaaaaaaaaaaaaaaa c2VjcmV0LQ== %74oken ")).collect();
            plain(format!(r#"{{"status":"{}"}}"#, echo.repeat(100)))
        })
        .asked(|| {
            let headers: Vec<String> =
                (0..40).map(|n| format!(r#""x-token-{n}":"token-{n}-{}""#, "a".repeat(4000))).collect();
            format!(r#""requestInit":{{"headers":{{{}}}}},"responseFilter":{{"body":{{"status":["SUCCESS"]}}}}"#, headers.join(","))
        }),
        attack("retries", "statuses that the spec answers with the fastest retries", || head("HTTP/1.1 500 x")).asked(|| {
            r#""retry":{"all":{"strategy":"backoff","limit":1000000,"factor":1,"minTimeoutInMs":10,"maxTimeoutInMs":10}}"#.to_owned()
        }),
    ]
}
