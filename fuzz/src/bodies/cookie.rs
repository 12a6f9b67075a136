//! Cookie fields of clients, and Set-Cookie fields of targets, as stickiness reads them: a value that
//! is found stands in the field behind its name, and other pairs before it change nothing.

use lb::{cookie_set, cookie_value};

use super::{Body, outcome, seeds};

const NAME: &[u8] = b"AWSALB";

pub(super) fn body() -> Body {
    Body {
        name: "cookie",
        seeds: seeds(&[
            "AWSALB=abc; a=b",
            "a=b;AWSALB=\"abc\" ; AWSALBCORS=abc",
            "AWSALB; =; ;; AWSALB=",
            "SID=1; Path=/; HttpOnly",
        ]),
        words: &[b"AWSALB", b"AWSALB=", b"=", b";", b"; ", b"\"", b" "],
        run: Box::new(run),
    }
}

fn run(input: &[u8]) -> u64 {
    let value = cookie_value(input, NAME);
    if let Some(value) = value {
        assert!(value.is_empty() || input.windows(value.len()).any(|part| part == value));
        assert!(!value.contains(&b';'));
    }
    let behind = [b"AWSALBX=1; AWSAL=2;", input].concat();
    assert_eq!(cookie_value(&behind, NAME), value);
    let before = [b"AWSALB=first;", input].concat();
    assert_eq!(cookie_value(&before, NAME), Some(&b"first"[..]));
    let set = cookie_set(input);
    assert!(set.is_none_or(|name| !name.is_empty() && !name.contains(&b'=')));
    outcome((value.map(<[u8]>::len), set.map(<[u8]>::len)))
}
