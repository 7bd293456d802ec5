//! Attacks by documents that are costly to read.

use super::answers::{MIB, array, plain, zipped};
use super::{Attack, asked_large, attack, large};

pub(super) fn attacks() -> Vec<Attack> {
    vec![
        large("tree", "10 MiB of small objects in 15 kB (a tree takes 1.8 GB)", || {
            zipped(format!(r#"{{"status":{}}}"#, array(r#"{"a":0}"#, 10 * MIB - 100)))
        }),
        asked_large(
            "searched tree",
            "the same, and a filter that asks each object",
            || r#""responseFilter":{"body":{"status":{"$some":{"a":{"$gt":5}}}}}"#.to_owned(),
            || zipped(format!(r#"{{"status":{}}}"#, array(r#"{"a":0}"#, 10 * MIB - 100))),
        ),
        large("depth", "10 MiB of brackets", || zipped(vec![b'['; 10 * MIB - 1])),
        large("members", "an object of a million members", || {
            let members: Vec<String> = (0..700_000).map(|n| format!(r#""k{n}":0"#)).collect();
            zipped(format!("{{{}}}", members.join(",")))
        }),
        large("duplicates", "a million members of one name", || {
            zipped(format!(r#"{{{}"status":0}}"#, r#""status":0,"#.repeat(800_000)))
        }),
        large("long string", "a string of 10 MiB", || {
            zipped(format!(r#"{{"status":"{}"}}"#, "x".repeat(10 * MIB - 100)))
        }),
        large("escapes", "a string of escapes", || {
            zipped(format!(r#"{{"status":"{}"}}"#, r"\u0041".repeat(1_700_000)))
        }),
        large("half pairs", "halves of surrogate pairs", || {
            zipped(format!(r#"{{"status":"{}"}}"#, r"\ud800".repeat(1_700_000)))
        }),
        large("no UTF-8", "bytes that are not UTF-8", || zipped(vec![0xFF; 10 * MIB - 1])),
        large("long number", "a number of 10 MiB", || {
            zipped(format!(r#"{{"status":{}}}"#, "1".repeat(10 * MIB - 100)))
        }),
        large("exponent", "a number with a huge exponent", || plain(r#"{"status":1e999999999}"#)),
        large("blanks", "10 MiB of white space", || zipped(vec![b' '; 10 * MIB - 1])),
        large("strings", "an array of a million strings", || {
            zipped(format!(r#"{{"status":{}}}"#, array(r#""a""#, 10 * MIB - 100)))
        }),
        large("names", "an unmet condition on a field whose neighbours have long names", || {
            zipped(format!(r#"{{"{}":0,"b":1}}"#, "s".repeat(10 * MIB - 100)))
        }),
        large("page", "an HTML page of 10 MiB", || {
            zipped(format!("<html><title>{}", "x".repeat(10 * MIB - 100)))
        }),
        large("closed depth", "as many brackets as they close", || {
            zipped(["[".repeat(5 * MIB - 10), "]".repeat(5 * MIB - 10)].concat())
        }),
        large("nests", "objects and arrays a hundred deep, again and again", || {
            let nest = [r#"{"a":["#.repeat(50), "0".to_owned(), "]}".repeat(50)].concat();
            zipped(format!(r#"{{"status":{}}}"#, array(&nest, 10 * MIB - 400)))
        }),
        large("numbers", "half a million numbers of seventeen digits and an exponent", || {
            zipped(format!(r#"{{"status":{}}}"#, array("-1.2345678901234567e-300", 10 * MIB - 100)))
        }),
        large("small exponents", "a million numbers that are nearly zero", || {
            zipped(format!(r#"{{"status":{}}}"#, array("1e-9999", 10 * MIB - 100)))
        }),
        large("long fractions", "numbers of a thousand digits behind the point", || {
            let number = format!("0.{}1", "0".repeat(1000));
            zipped(format!(r#"{{"status":{}}}"#, array(&number, 10 * MIB - 2000)))
        }),
        large("escaped names", "half a million names that escapes spell", || {
            zipped(format!(r#"{{{}"a":0}}"#, r#""\u0073\u0074atu\u0073":0,"#.repeat(400_000)))
        }),
        large("broken at the end", "10 MiB of JSON whose last letter is wrong", || {
            zipped(format!(r#"{{"status":{}]"#, array(r#"{"a":0}"#, 10 * MIB - 100)))
        }),
        large("lines", "a document in each of three million lines", || zipped("{}\n".repeat(3 * MIB))),
        large("UTF-16", "10 MiB of UTF-16", || {
            zipped([&b"\xFF\xFE"[..], &b"{\0".repeat(5 * MIB - 100)].concat())
        }),
        large("BOMs", "byte order marks without end", || zipped(b"\xEF\xBB\xBF".repeat(3 * MIB))),
        large("empty names", "a million members without a name", || {
            zipped(format!(r#"{{{}"status":0}}"#, r#""":0,"#.repeat(1_900_000)))
        }),
        attack("lone surrogate", "a name and a value that no text can be", || {
            plain(r#"{"status":"\ud800","\udfff":{"\ud800":1e400}}"#)
        }),
        attack("controls", "text that would write to a terminal", || {
            plain("{\"status\":\"\\u001b]0;x\\u0007\u{9b}31m\u{202e}\u{2028}\"}")
        }),
    ]
}
