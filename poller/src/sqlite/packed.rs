//! Long outcomes are stored compressed: a matched response may have a body of 10 MiB, and most JSON takes a tenth of its length.
//!
//! The column is text, so what is compressed is there as `zstd:` and base64, which no JSON begins with. A file of any format may
//! have both; that needs no migration.

use std::borrow::Cow;
use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;

/// What compressed text begins with.
const MARK: &str = "zstd:";

/// Shorter text is stored as it is, for people and tools that look into the file.
const LEAST: usize = 16 << 10;

/// The fastest level of zstd that does not trade much size for it: 10 MiB take about 30 ms.
const LEVEL: i32 = 1;

/// The longest text that is unpacked. A damaged or forged file may claim any length.
const LONGEST: u64 = 1 << 30;

/// The text as it is stored.
pub(super) fn pack(text: String) -> String {
    if text.len() < LEAST {
        return text;
    }
    match zstd::bulk::compress(text.as_bytes(), LEVEL) {
        Ok(packed) if packed.len() < text.len() / 2 => {
            let mut stored = String::with_capacity(MARK.len() + packed.len() * 4 / 3 + 4);
            stored.push_str(MARK);
            BASE64.encode_string(packed, &mut stored);
            stored
        }
        _ => text,
    }
}

/// The text that was stored.
///
/// # Errors
/// What is wrong with it, if it is damaged.
pub(super) fn unpack(stored: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    let Some(packed) = stored.strip_prefix(MARK.as_bytes()) else { return Ok(stored.into()) };
    let packed = BASE64.decode(packed).map_err(|_| "its compressed form is damaged".to_owned())?;
    let mut text = Vec::new();
    let mut decoder = zstd::stream::read::Decoder::with_buffer(&packed[..])
        .map_err(|error| format!("its compressed form is damaged: {error}"))?
        .take(LONGEST + 1);
    decoder.read_to_end(&mut text).map_err(|error| format!("its compressed form is damaged: {error}"))?;
    if text.len() as u64 > LONGEST {
        return Err(format!("it has more than {LONGEST} bytes"));
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_packed_and_comes_back() {
        let long = format!(r#"{{"a":[{}0]}}"#, r#"{"status":"done"},"#.repeat(10_000));
        let stored = pack(long.clone());
        assert!(stored.len() < long.len() / 20, "{} of {}", stored.len(), long.len());
        assert_eq!(unpack(stored.as_bytes()).unwrap(), long.as_bytes());
        for plain in [r#"{"a":1}"#.to_owned(), "x".repeat(LEAST - 1)] {
            assert_eq!(pack(plain.clone()), plain);
            assert_eq!(unpack(plain.as_bytes()).unwrap(), plain.as_bytes());
        }
    }

    #[test]
    fn damage_is_an_error() {
        let stored = pack("ab".repeat(LEAST));
        for damaged in [&stored[..stored.len() / 2], "zstd:", "zstd:####", "zstd:QUJD"] {
            assert!(unpack(damaged.as_bytes()).is_err(), "{damaged}");
        }
    }
}
