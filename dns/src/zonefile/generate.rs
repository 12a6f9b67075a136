//! `$GENERATE range owner [ttl] [class] type data`: BIND's way to write many records at once.
//!
//! `$` is the number, `${offset,width,base}` the number moved, filled and in base d, o, x, X, n or
//! N (nibbles), `\$` and `$$` a dollar sign. Bounded per zone.

use super::input::lossy;
use super::reader::{Place, Reader};
use super::record::Head;
use super::scanner::{Entry, Scanner, Token};
use crate::load::ParsedRecord;
use crate::name::Name;
use crate::rdata::{self, Fields};

/// Records made by `$GENERATE` in one zone, at most.
const MAX_GENERATED: usize = 1 << 20;
/// Widest number in characters.
const MAX_WIDTH: usize = 255;
const FORM: &str = "$GENERATE 1-20/2 host-$ A 192.0.2.$";

/// What one `$GENERATE` makes, numbers not yet put in.
struct Template<'a> {
    owner: &'a [u8],
    head: Head,
    data: Vec<u8>,
}

impl Reader<'_> {
    pub(super) fn read_generate(
        &mut self,
        text: &[u8],
        arguments: &[Token],
        entry: &Entry,
        place: &Place,
    ) {
        let span = place.span(entry.range());
        let raw = |token: &Token| text.get(token.start..token.end).unwrap_or_default();
        let [range, owner, rest @ ..] = arguments else {
            return self.refuse_directive(span, "$GENERATE needs a range and a record", FORM);
        };
        let Some(numbers) = parse_range(&lossy(raw(range))) else {
            let message = format!(
                "`{}` is not a range such as 1-20 or 0-100/5",
                lossy(raw(range))
            );
            let span = place.span(range.start..range.end);
            return self.refuse_directive(span, message, FORM);
        };
        let Some(head) = self.read_head(text, rest, place, entry) else {
            return;
        };
        let data = join(text, rest.get(head.tokens..).unwrap_or_default(), &head);
        let template = Template {
            owner: raw(owner),
            head,
            data,
        };
        for number in numbers {
            if self.generated >= MAX_GENERATED {
                let message =
                    format!("$GENERATE makes more than {MAX_GENERATED} records in this zone");
                return self.refuse_directive(span, message, FORM);
            }
            self.generated += 1;
            // One problem would come back with every number.
            if self.generate_one(&template, number, place, entry).is_none() {
                return;
            }
        }
    }

    fn generate_one(
        &mut self,
        template: &Template<'_>,
        number: i64,
        place: &Place,
        entry: &Entry,
    ) -> Option<()> {
        let span = place.span(entry.range());
        let (Some(owner), Some(data)) = (
            expand(template.owner, number),
            expand(&template.data, number),
        ) else {
            self.refuse_directive(span, "a ${…} is not ${offset,width,base}", FORM);
            return None;
        };
        let owner = match Name::parse(&owner, Some(&place.origin)) {
            Ok(owner) => owner,
            Err(why) => {
                let message = format!("`{}` is not an owner name: {why}", lossy(&owner));
                self.refuse_directive(span, message, FORM);
                return None;
            }
        };
        let mut made = Entry::default();
        Scanner::new(&data).next_entry(&mut made);
        if made.fault.is_some() {
            self.refuse_directive(span, "the data has an open quote or parenthesis", FORM);
            return None;
        }
        let fields = Fields::new(&data, &made.tokens, 0..data.len(), &place.origin);
        let rdata = self.read_data(template.head.rtype, fields, |_| span)?;
        let ttl = self.settle_ttl(&template.head, &rdata, span);
        self.records.push(ParsedRecord {
            owner,
            rtype: template.head.rtype,
            ttl,
            rdata,
            span,
        });
        Some(())
    }
}

/// The data's tokens with one blank between them. Data in one quoted string is several words
/// (`MX "10 mail$"`), but where the type is made of strings.
fn join(text: &[u8], tokens: &[Token], head: &Head) -> Vec<u8> {
    let unquote = tokens.len() == 1 && !rdata::is_text(head.rtype);
    let mut joined = Vec::new();
    for token in tokens {
        let raw = text.get(token.start..token.end).unwrap_or_default();
        if !joined.is_empty() && !token.glued {
            joined.push(b' ');
        }
        if token.quoted && !unquote {
            joined.push(b'"');
            joined.extend_from_slice(raw);
            joined.push(b'"');
        } else {
            joined.extend_from_slice(raw);
        }
    }
    joined
}

/// `start-stop[/step]`, all of at most 31 bits.
fn parse_range(text: &str) -> Option<std::iter::StepBy<std::ops::RangeInclusive<i64>>> {
    let (range, step) = text.split_once('/').unwrap_or((text, "1"));
    let (start, stop) = range.split_once('-')?;
    let number = |text: &str| -> Option<i64> {
        let plain = text.bytes().all(|byte| byte.is_ascii_digit());
        let value = text.parse::<i32>().ok().filter(|_| plain)?;
        Some(i64::from(value))
    };
    let (start, stop, step) = (number(start)?, number(stop)?, number(step)?);
    let step = usize::try_from(step).ok().filter(|&step| step > 0)?;
    (start <= stop).then(|| (start..=stop).step_by(step))
}

/// `template` with `number` put in; `None` when a `${…}` is malformed.
fn expand(template: &[u8], number: i64) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(template.len() + 8);
    let mut rest = template;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match (byte, after) {
            (b'$', [b'$', after @ ..]) => {
                out.push(b'$');
                rest = after;
            }
            (b'$', [b'{', after @ ..]) => {
                let end = memchr::memchr(b'}', after)?;
                let (modifiers, after) = after.split_at_checked(end)?;
                out.extend_from_slice(modified(&lossy(modifiers), number)?.as_bytes());
                rest = after.get(1..)?;
            }
            (b'$', _) => out.extend_from_slice(number.to_string().as_bytes()),
            (b'\\', [b'$', after @ ..]) => {
                out.push(b'$');
                rest = after;
            }
            (b'\\', [escaped, after @ ..]) => {
                out.extend_from_slice(&[b'\\', *escaped]);
                rest = after;
            }
            _ => out.push(byte),
        }
    }
    Some(out)
}

/// The number of `${offset[,width[,base]]}`.
fn modified(modifiers: &str, number: i64) -> Option<String> {
    let mut parts = modifiers.split(',');
    let value = number + i64::from(parts.next()?.parse::<i32>().ok()?);
    let width = parts.next().map_or(Some(0), |text| text.parse().ok())?;
    let base = parts.next().unwrap_or("d");
    if parts.next().is_some() || width > MAX_WIDTH {
        return None;
    }
    Some(match base {
        "d" => format!("{value:0width$}"),
        "o" => format!("{:0width$o}", u32::try_from(value).ok()?),
        "x" => format!("{:0width$x}", u32::try_from(value).ok()?),
        "X" => format!("{:0width$X}", u32::try_from(value).ok()?),
        "n" => nibbles(u32::try_from(value).ok()?, width),
        "N" => nibbles(u32::try_from(value).ok()?, width).to_ascii_uppercase(),
        _ => return None,
    })
}

/// Hex digits from the lowest on with dots between them; `width` counts the dots too.
fn nibbles(mut value: u32, width: usize) -> String {
    let mut text = String::new();
    loop {
        text.extend(char::from_digit(value & 15, 16));
        value >>= 4;
        if value == 0 && text.len() >= width {
            return text;
        }
        text.push('.');
        if value == 0 && text.len() >= width {
            return text;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(template: &str, number: i64) -> Option<String> {
        expand(template.as_bytes(), number).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn numbers_are_put_in_as_bind_does() {
        assert_eq!(expanded("h$.x", 7).unwrap(), "h7.x");
        assert_eq!(expanded("${0,3}", 7).unwrap(), "007");
        assert_eq!(expanded("${-5,3,d}", 7).unwrap(), "002");
        assert_eq!(expanded("${10,0,x}-${10,4,X}", 245).unwrap(), "ff-00FF");
        assert_eq!(expanded("${0,2,o}", 9).unwrap(), "11");
        assert_eq!(expanded("${0,7,n}", 0xab).unwrap(), "b.a.0.0");
        assert_eq!(expanded("${0,0,N}", 0xab).unwrap(), "B.A");
        assert_eq!(expanded(r"\$ $$ \; $", 1).unwrap(), r"$ $ \; 1");
        assert_eq!(expanded("${1", 1), None);
        assert_eq!(expanded("${a}", 1), None);
        assert_eq!(expanded("${0,999}", 1), None);
        assert_eq!(expanded("${-5,0,x}", 1), None);
    }

    #[test]
    fn ranges_are_bounded() {
        let numbers = |text: &str| parse_range(text).map(Iterator::collect::<Vec<_>>);
        assert_eq!(numbers("1-3"), Some(vec![1, 2, 3]));
        assert_eq!(numbers("0-10/5"), Some(vec![0, 5, 10]));
        for bad in [
            "3-1",
            "1",
            "1-2/0",
            "1-4294967296",
            "-1-2",
            "+1-2",
            "1-2/-1",
            "",
        ] {
            assert_eq!(numbers(bad), None, "{bad}");
        }
    }
}
