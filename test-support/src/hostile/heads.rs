//! Attacks by the headers of a complete response: redirects, links, cookies, hints.

use super::answers::head;
use super::server::{Play, Then};
use super::{Attack, attack};

fn cookies() -> String {
    r#""requestInit":{"cookies":true},"responseFilter":{"body":{"status":["SUCCESS"]}}"#.to_owned()
}

pub(super) fn attacks() -> Vec<Attack> {
    vec![
        attack("large headers", "100 kB of headers", || {
            head(&format!(
                "HTTP/1.1 200 OK\r\n{}",
                format!("x: {}\r\n", "v".repeat(4000)).repeat(24).trim_end()
            ))
        }),
        attack("300 headers", "more lines than are read", || {
            head(&format!("HTTP/1.1 200 OK\r\n{}", "x: v\r\n".repeat(300).trim_end()))
        }),
        attack("cookies", "two hundred cookies", || {
            head(&format!("HTTP/1.1 200 OK\r\n{}", "set-cookie: a=b\r\n".repeat(200).trim_end()))
        }),
        attack("redirect loop", "a redirect to itself", || head("HTTP/1.1 302 Found\r\nlocation: /again")),
        attack("redirect inwards", "a redirect to cloud metadata", || {
            head("HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/latest/")
        }),
        attack("redirect to a file", "a redirect to a file", || {
            head("HTTP/1.1 302 Found\r\nlocation: file:///etc/passwd")
        }),
        attack("redirect with a name", "a redirect with credentials", || {
            head("HTTP/1.1 302 Found\r\nlocation: http://a:b@127.0.0.1:9/")
        }),
        attack("long redirect", "a redirect of 60 kB", || {
            head(&format!("HTTP/1.1 302 Found\r\nlocation: /{}", "x".repeat(60_000)))
        }),
        attack("no redirect", "a redirect to nothing that is a URL", || {
            head("HTTP/1.1 302 Found\r\nlocation: http://[")
        }),
        attack("429 for ever", "429 with the longest wait", || {
            head("HTTP/1.1 429 x\r\nretry-after: 99999999999999999999")
        }),
        attack("503 for ever", "503 with the longest wait", || {
            head("HTTP/1.1 503 x\r\nretry-after: 99999999999999999999")
        }),
        attack("negative wait", "429 with a negative wait", || head("HTTP/1.1 429 x\r\nretry-after: -1")),
        attack("wait of 1e308", "503 with a wait that is no integer", || {
            head("HTTP/1.1 503 x\r\nretry-after: 1e308")
        }),
        attack("old date", "503 with a date of the past", || {
            head("HTTP/1.1 503 x\r\nretry-after: Thu, 01 Jan 1970 00:00:00 GMT")
        }),
        attack("quota", "a quota that is no number", || {
            head(
                "HTTP/1.1 200 OK\r\nx-ratelimit-remaining: 0\r\nx-ratelimit-reset: NaN\r\nratelimit: \"x\";r=0;t=-1",
            )
        }),
        attack("kept cookies", "large cookies of many names, kept by the poll", || {
            let cookies: String =
                (0..30).map(|n| format!("set-cookie: c{n}={}\r\n", "v".repeat(4000))).collect();
            head(&format!("HTTP/1.1 200 OK\r\n{}", cookies.trim_end()))
        })
        .asked(cookies),
        attack("redirects with cookies", "redirects to itself that set cookies", || {
            let cookies: String =
                (0..200).map(|n| format!("set-cookie: c{n}={}\r\n", "v".repeat(500))).collect();
            head(&format!("HTTP/1.1 302 Found\r\nlocation: /again\r\n{}", cookies.trim_end()))
        })
        .asked(cookies),
        attack("cookies of others", "cookies for other domains, paths and times", || {
            let odd = [
                "a=b; domain=test",
                "a=b; domain=.com",
                "a=b; path=x",
                "=",
                ";",
                "a",
                "a=b; max-age=-1",
                "a=b; max-age=99999999999999999999",
                "a=b; expires=Thu, 99 Jan 99999 99:99:99 GMT",
                "__Host-a=b; domain=hostile.test",
            ];
            let cookies: String = odd.iter().map(|cookie| format!("set-cookie: {cookie}\r\n")).collect();
            head(&format!("HTTP/1.1 200 OK\r\n{}", cookies.trim_end()))
        })
        .asked(cookies),
        attack("redirect to a closed port", "a redirect to where nobody listens", || {
            head("HTTP/1.1 307 x\r\nlocation: http://hostile.test:1/")
        }),
        attack(
            "redirect to a long name",
            "a redirect to a host of 30,000 letters that are not ASCII",
            || {
                let name = "\u{fc}".repeat(30_000);
                head(&format!("HTTP/1.1 302 Found\r\nlocation: http://{name}/"))
            },
        ),
        attack("redirect to many labels", "a redirect to a host of 20,000 labels", || {
            head(&format!("HTTP/1.1 302 Found\r\nlocation: http://{}x/", "\u{fc}.".repeat(20_000)))
        }),
        attack("redirect up", "a redirect with 30,000 steps up", || {
            head(&format!("HTTP/1.1 302 Found\r\nlocation: {}x", "../".repeat(30_000)))
        }),
        attack("redirect down", "a redirect one step down each time", || {
            head("HTTP/1.1 302 Found\r\nlocation: again/again")
        }),
        attack("refresh", "redirects that no client of HTTP follows", || {
            head(
                "HTTP/1.1 200 OK\r\nrefresh: 0; url=http://169.254.169.254/\r\nlink: <http://169.254.169.254/>; rel=preload",
            )
        }),
        attack("long link", "a link of 60 kB to follow, another one each time", || {
            head(&format!("HTTP/1.1 202 Accepted\r\noperation-location: next/{}", "x".repeat(60_000)))
        })
        .asked(|| r#""follow":"auto""#.to_owned()),
        attack("link inwards", "a link to cloud metadata to follow", || {
            head("HTTP/1.1 202 Accepted\r\noperation-location: http://169.254.169.254/latest/")
        })
        .asked(|| {
            r#""follow":"auto","requestInit":{"headers":{"authorization":"Bearer hunter2-hunter2"}}"#
                .to_owned()
        }),
        attack("quotas", "a list of 5,000 quotas", || {
            head(&format!("HTTP/1.1 200 OK\r\nratelimit: {}", r#""a";r=0;t=1,"#.repeat(5000)))
        }),
        attack("200 waits", "200 waits that differ", || {
            let waits: String = (0..200).map(|n| format!("retry-after: {n}\r\n")).collect();
            head(&format!("HTTP/1.1 503 x\r\n{}", waits.trim_end()))
        }),
        attack("charset", "a charset of 60 kB", || {
            head(&format!("HTTP/1.1 200 OK\r\ncontent-type: text/html; charset={}", "x".repeat(60_000)))
        }),
        attack("bytes in headers", "100 kB of headers that are not ASCII", || {
            let line = [&b"x: "[..], &[0xE9; 4000], b"\r\n"].concat();
            Play::Send(
                [&b"HTTP/1.1 200 OK\r\n"[..], &line.repeat(24), b"content-length: 2\r\n\r\n{}"].concat(),
                Then::Next,
            )
        }),
    ]
}
