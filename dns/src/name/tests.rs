use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

fn name(text: &str) -> Name {
    Name::parse(text, None).unwrap()
}

#[test]
fn text_becomes_wire() {
    let origin = name("example.test.");
    let parse = |text: &str| Name::parse(text, Some(&origin)).map(|n| n.to_string());
    assert_eq!(parse("@").unwrap(), "example.test.");
    assert_eq!(parse("WwW").unwrap(), "WwW.example.test.");
    assert_eq!(parse("a.b.").unwrap(), "a.b.");
    assert_eq!(parse(".").unwrap(), ".");
    assert_eq!(parse(r"a\.b.\032\@").unwrap(), r"a\.b.\032\@.example.test.");
    assert_eq!(parse(r"\065bc").unwrap(), "Abc.example.test.");
    assert_eq!(name("a.").as_wire(), b"\x01a\0");
}

#[test]
fn bad_text_says_why() {
    let parse = |text: &str| Name::parse(text, None).unwrap_err();
    assert_eq!(parse(""), NameError::Empty);
    assert_eq!(parse("a..b."), NameError::EmptyLabel);
    assert_eq!(parse(".a."), NameError::EmptyLabel);
    assert_eq!(parse("a"), NameError::NoOrigin);
    assert_eq!(parse("@"), NameError::NoOrigin);
    assert_eq!(parse("a\\"), NameError::BadEscape);
    assert_eq!(parse(r"\256."), NameError::BadEscape);
    assert_eq!(parse(r"\1a2."), NameError::BadEscape);
    assert_eq!(
        parse(&format!("{}.", "a".repeat(64))),
        NameError::LabelTooLong
    );
    assert_eq!(parse(&"abc.".repeat(64)), NameError::TooLong);
    assert_eq!(
        name(&format!("{}ab.", "abc.".repeat(62))).as_wire().len(),
        252
    );
    assert_eq!(name(&"a.".repeat(127)).as_wire().len(), 255);
    assert_eq!(parse(&"a.".repeat(128)), NameError::TooLong);
}

#[test]
fn wire_is_checked() {
    assert_eq!(Name::from_wire(b"\x01a\0").unwrap(), name("a."));
    assert_eq!(Name::from_wire(b"\x01a\0x"), Err(NameError::BadWire));
    assert_eq!(Name::from_wire(b"\x01a"), Err(NameError::BadWire));
    assert_eq!(Name::from_wire(b"\xc0\x0c"), Err(NameError::BadWire));
    assert_eq!(Name::read_wire(b"\x01a\0rest").unwrap(), name("a."));
    assert_eq!(Name::read_wire(b""), Err(NameError::BadWire));
}

#[test]
fn case_is_kept_and_ignored() {
    let mixed = name("WWW.Example.");
    assert_eq!(mixed.to_string(), "WWW.Example.");
    assert_eq!(mixed, name("www.eXAMPLE."));
    assert_eq!(mixed.to_lower().to_string(), "www.example.");
    let set: HashSet<Name> = [mixed].into();
    assert!(set.contains(&name("www.example.")));
}

#[test]
fn order_is_that_of_rfc_4034_section_6_1() {
    let sorted = [
        "example.",
        "a.example.",
        "yljkjljk.a.example.",
        "Z.a.example.",
        "zABC.a.EXAMPLE.",
        "z.example.",
        r"\001.z.example.",
        "*.z.example.",
        r"\200.z.example.",
    ];
    let mut names: Vec<Name> = sorted.iter().rev().map(|text| name(text)).collect();
    names.sort();
    let expected: Vec<Name> = sorted.iter().map(|text| name(text)).collect();
    assert_eq!(names, expected);
}

#[test]
fn order_is_that_of_labels_from_the_right_whatever_is_shared() {
    let labels = ["", "a", "A", "b", "ab", "aB", r"\000", r"\255", "*"];
    let mut names = vec![Name::root()];
    for first in labels {
        for second in labels {
            for third in labels {
                let parts = [first, second, third]
                    .into_iter()
                    .filter(|part| !part.is_empty());
                let text: String = parts.map(|part| format!("{part}.")).collect();
                names.push(if text.is_empty() {
                    Name::root()
                } else {
                    name(&text)
                });
            }
        }
    }
    let key = |name: &Name| {
        let lower = name.labels().map(|label| label.to_ascii_lowercase());
        let mut labels: Vec<Vec<u8>> = lower.collect();
        labels.reverse();
        labels
    };
    for one in &names {
        for other in &names {
            assert_eq!(one.cmp(other), key(one).cmp(&key(other)), "{one} {other}");
        }
    }
}

#[test]
fn ancestors_are_found_at_label_boundaries_only() {
    let base = name("Example.test.");
    assert!(name("example.TEST.").is_subdomain_of(&base));
    assert!(name("a.b.example.test.").is_subdomain_of(&base));
    assert!(!name("badexample.test.").is_subdomain_of(&base));
    assert!(!name("test.").is_subdomain_of(&base));
    assert!(name("a.").is_subdomain_of(&Name::root()));
    // The bytes of `\007example.test.` end like the base, but inside a label.
    assert!(!name(r"a\007example.test.").is_subdomain_of(&base));
    assert_eq!(name("a.b.").parent(), Some(name("b.")));
    assert_eq!(Name::root().parent(), None);
    assert_eq!(name("a.b.example.test.").label_count(), 4);
}

#[test]
fn suffixes_are_replaced_up_to_the_limit() {
    let from = name("old.test.");
    let to = name("new.example.");
    assert_eq!(
        name("a.b.old.test.").replace_suffix(&from, &to).unwrap(),
        name("a.b.new.example.")
    );
    assert_eq!(
        name("a.").replace_suffix(&from, &to),
        Err(NameError::NotBelow)
    );
    let long = name(&format!("{}old.test.", "a.".repeat(122)));
    assert_eq!(long.replace_suffix(&from, &to), Err(NameError::TooLong));
    assert!(name("*.test.").is_wildcard());
    assert!(!name("a.*.test.").is_wildcard());
    assert_eq!(
        to.prepend(b"x.y").unwrap().to_string(),
        r"x\.y.new.example."
    );
    assert_eq!(to.prepend(b""), Err(NameError::EmptyLabel));
    assert_eq!(to.prepend(&[b'a'; 64]), Err(NameError::LabelTooLong));
}

proptest! {
    #[test]
    fn display_and_parse_are_inverse(labels in proptest::collection::vec(
        proptest::collection::vec(any::<u8>(), 1..20), 0..10)) {
        let mut built = Name::root();
        for label in &labels {
            built = built.prepend(label).unwrap();
        }
        let again = Name::parse(built.to_string(), None).unwrap();
        prop_assert_eq!(again.as_wire(), built.as_wire());
    }

    #[test]
    fn any_text_ends(text in proptest::collection::vec(any::<u8>(), 0..600)) {
        if let Ok(name) = Name::parse(&text, Some(&Name::root())) {
            let again = Name::from_wire(name.as_wire()).unwrap();
            prop_assert_eq!(again.as_wire(), name.as_wire());
        }
    }
}
