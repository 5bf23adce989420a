//! Finds long words that were drawn by chance, where no name and no vendor's form says what they are.
//!
//! Most of such words in an agent's texts are no secrets: ids, digests, commits, pictures. What is known to be one of
//! those, by its form, its prefix, or what stands before it, stays.

use super::letters::score;
use super::name;
use super::value::{is_digest, is_random_hex};
use super::{Span, work};

/// A shorter word may be chance by chance.
const LEAST: usize = 24;
/// A longer one is data, and no key.
const MOST: usize = 200;
/// Below this, in natural logarithms, no language comes.
const CHANCE: i32 = -14;
/// Lengths of digests, commits and trace ids in hexadecimal.
const DIGEST_LENGTHS: [usize; 7] = [32, 40, 48, 56, 64, 96, 128];
/// How far before a word it is looked for what it stands in.
const CONTEXT: usize = 300;

/// Letters that keys consist of.
static IS_LETTER: [bool; 256] = letters();

const fn letters() -> [bool; 256] {
    let mut table = [false; 256];
    let mut letter = 0_u8;
    loop {
        table[letter as usize] =
            letter.is_ascii_alphanumeric() || matches!(letter, b'_' | b'-' | b'+' | b'/' | b'=');
        if letter == u8::MAX {
            break;
        }
        letter += 1;
    }
    table
}

fn is_letter(byte: u8) -> bool {
    IS_LETTER[usize::from(byte)]
}

/// Steps through the text so far at a time that no long word is stepped over.
pub(super) fn find(text: &str, spans: &mut Vec<Span<'_>>) {
    let bytes = text.as_bytes();
    let (mut place, mut done) = (LEAST - 1, 0);
    while let Some(byte) = bytes.get(place) {
        if !is_letter(*byte) {
            place += LEAST;
            continue;
        }
        let before = bytes[done..place].iter().rev();
        let start = place - before.take_while(|byte| is_letter(**byte)).count();
        // No further than a word of the least length needs, until it is one.
        let behind = bytes[place..].iter();
        let end = place + behind.take_while(|byte| is_letter(**byte)).count();
        work::did(end - start);
        if end - start >= LEAST
            && let Some((start, end)) = judge(text, start, end)
        {
            spans.push(Span::secret(start, end));
        }
        done = end;
        place = end + LEAST;
    }
}

/// The secret in a long word, if it is one.
fn judge(text: &str, mut start: usize, mut end: usize) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let before = |place: usize| place.checked_sub(1).map(|place| bytes[place]);
    if before(start) == Some(b'\\') {
        // The letter belongs to an escape, and so do the digits of a code.
        let digits = match bytes[start] {
            b'u' => 4,
            b'x' => 2,
            _ => 0,
        };
        let code = bytes.get(start + 1..=start + digits).unwrap_or_default();
        start += match bytes[start] {
            b'u' | b'x' if code.len() == digits && code.iter().all(u8::is_ascii_hexdigit) => {
                1 + digits
            }
            b'n' | b'r' | b't' | b'u' => 1,
            _ => 0,
        };
    }
    if before(start) == Some(b'%') && bytes[start..].iter().take(2).all(u8::is_ascii_hexdigit) {
        start += 2;
    }
    // `name=value` is one word; what is before the sign is looked at as a name.
    let word = text.get(start..end)?;
    if let Some(sign) = word.trim_end_matches('=').rfind('=') {
        start += sign + 1;
    }
    let (first, last) = (start, end);
    let word = text.get(start..end)?;
    let trimmed = word.trim_start_matches(['-', '_', '/', '+', '=']);
    start += word.len() - trimmed.len();
    let word = trimmed.trim_end_matches(['-', '_', '/', '+']);
    end = start + word.len();
    if !(LEAST..=MOST).contains(&word.len()) {
        return None;
    }
    if let Some(end) = bot_end(bytes, start, end) {
        return Some((start, end));
    }
    if !is_chance(word) {
        return None;
    }
    if is_known_form(word) || is_path(word) || is_beside(bytes, start, end) {
        return None;
    }
    let mut from = first.saturating_sub(CONTEXT);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let context = text.get(from..first)?;
    (!stands_in(context, bytes, end) && !is_in_block(text, first, last)).then_some((start, end))
}

/// Whether the word's letters come in no order that language has.
fn is_chance(word: &str) -> bool {
    let body = word.trim_end_matches('=');
    let (mut small, mut capital, mut digits) = (false, false, 0);
    for byte in body.bytes() {
        small |= byte.is_ascii_lowercase();
        capital |= byte.is_ascii_uppercase();
        digits += usize::from(byte.is_ascii_digit());
    }
    if !(small || capital) || digits == body.len() {
        return false;
    }
    if body.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return !DIGEST_LENGTHS.contains(&body.len()) && body.len() >= 28 && is_random_hex(body);
    }
    if is_digest(body) {
        return false;
    }
    let is_mixed = small && capital && digits > 0;
    (is_mixed || (digits > 2 && body.len() >= 30)) && score(body) < CHANCE
}

/// Ids, public keys, pictures and such, by how they begin.
fn is_known_form(word: &str) -> bool {
    let begins = |forms: &str| forms.split('|').any(|form| word.starts_with(form));
    let is_ulid = word.len() == 26
        && word
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
        && word.starts_with(|first: char| ('0'..='7').contains(&first))
        && !word.contains(['I', 'L', 'O', 'U']);
    // 0x, a content id of IPFS, an address of Bitcoin.
    let is_address = word.starts_with("0x")
        || (word.len() == 46 && word.starts_with("Qm"))
        || word.starts_with("bafy")
        || word.starts_with("bc1q");
    let words = word.split(['-', '_']);
    let hex_parts =
        words.filter(|part| part.len() >= 4 && part.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let is_uuid_with_prefix =
        hex_parts.map(str::len).sum::<usize>() >= 28 && word.matches('-').count() >= 4;
    is_ulid || is_address || is_uuid_with_prefix || begins(IDS) || begins(DATA) || has_digest(word)
}

/// A digest with a word before it: `chatcmpl-<uuid>`, `libserde-<hash>`, `sha256-<base64>`, `span-<id>`.
fn has_digest(word: &str) -> bool {
    let mut rest = word;
    while let Some((head, tail)) = rest.split_once(['-', '_', '/', '=', '+']) {
        let is_hash = tail.len() >= 7 && tail.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_hash && DIGEST_LENGTHS.contains(&tail.len()) && score(head) > -6 {
            return true;
        }
        rest = tail;
    }
    false
}

/// Parts between slashes that are words: a path. A key in base64 has slashes too, but hardly a word between two.
fn is_path(word: &str) -> bool {
    let mut parts = word.split('/').filter(|part| !part.is_empty());
    word.contains('/')
        && parts.any(|part| {
            let is_word = part.len() >= 4 && score(part) > 3;
            is_word || part.matches(['_', '-']).count() > 2
        })
}

/// What the bytes around say: a file's name, a domain, a message's address, one part of a longer dotted word.
fn is_beside(bytes: &[u8], start: usize, end: usize) -> bool {
    let at = |place: usize| bytes.get(place).copied();
    let before = start.checked_sub(1).and_then(at);
    let is_dotted =
        at(end) == Some(b'.') && at(end + 1).is_some_and(|byte| byte.is_ascii_alphanumeric());
    let is_hashed = matches!(before, Some(b'#' | b'@' | b'$' | b'~'));
    is_dotted || is_hashed || at(end) == Some(b'@') || at(end) == Some(b'(')
}

/// Where a token of Discord's ends: an id in base64, a time, a signature, with dots between them.
fn bot_end(bytes: &[u8], start: usize, end: usize) -> Option<usize> {
    let part = |from: usize| {
        let rest = bytes.get(from..).unwrap_or_default().iter();
        rest.take(64).take_while(|byte| is_letter(**byte)).count()
    };
    // Digits in base64 begin with one of these.
    let is_id =
        (23..=28).contains(&(end - start)) && matches!(bytes.get(start), Some(b'M' | b'N' | b'O'));
    if !is_id || bytes.get(end) != Some(&b'.') {
        return None;
    }
    let time = part(end + 1);
    let dot = end + 1 + time;
    let signature = part(dot + 1);
    let is_token = (5..=7).contains(&time) && bytes.get(dot) == Some(&b'.') && signature >= 12;
    is_token.then_some(dot + 1 + signature)
}

/// Whether what stands before a word says that it is no secret: a name, an address, a path, the head of a data URL.
fn stands_in(context: &str, bytes: &[u8], end: usize) -> bool {
    let rest = context.trim_end_matches(['"', '\'', '`', ' ', '\\', '(', '<', '[']);
    let blank = context.len() - rest.len();
    if PREFIXES
        .split('|')
        .any(|prefix| ends_with(rest, prefix) && (blank == 0 || prefix.ends_with([':', '='])))
    {
        return true;
    }
    // An address or a path: one word up to here.
    let word = context
        .rsplit([' ', '"', '\'', '`', '\n', '\t', '(', '<', '>', ',', '|'])
        .next();
    let word = word.unwrap_or_default();
    if is_vault(word) {
        return false;
    }
    if word.contains("://")
        || word.contains(":\\/\\/")
        || word.ends_with("./")
        || word.ends_with('.')
    {
        return true;
    }
    // The name that it is given to, in quotes or without.
    let Some(signed) = rest.strip_suffix([':', '=']) else {
        return PUBLIC
            .split('|')
            .any(|word| ends_with(context.trim_end(), word))
            || is_followed(bytes, end);
    };
    let signed = signed.trim_end_matches(['"', '\'', '\\', ' ', ':', ']']);
    let length = signed
        .bytes()
        .rev()
        .take(64)
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
        .count();
    signed
        .get(signed.len() - length..)
        .is_some_and(|name| !name.is_empty() && name::is_identity(name))
}

/// `s.` before a word is how tokens of Vault began.
fn is_vault(word: &str) -> bool {
    let before = word.strip_suffix("s.");
    before.is_some_and(|before| {
        // The letter of an escape is no part of the word behind it.
        let is_escape = [r"\n", r"\r", r"\t"]
            .iter()
            .any(|escape| before.ends_with(escape));
        is_escape || !before.ends_with(|sign: char| sign.is_alphanumeric())
    })
}

fn ends_with(text: &str, ending: &str) -> bool {
    let start = text.len().checked_sub(ending.len());
    start
        .and_then(|start| text.get(start..))
        .is_some_and(|end| end.eq_ignore_ascii_case(ending))
}

/// `<digest>  file`, as programs that sum files print it.
fn is_followed(bytes: &[u8], end: usize) -> bool {
    bytes.get(end..end + 2) == Some(b"  ") || bytes.get(end..end + 2) == Some(b" *")
}

/// One line of a block that was broken into lines of one length: a picture, a certificate, a file.
fn is_in_block(text: &str, start: usize, end: usize) -> bool {
    let bytes = text.as_bytes();
    let length = end - start;
    if length < 40 {
        return false;
    }
    let breaks = |place: usize| match (bytes.get(place), bytes.get(place + 1)) {
        (Some(b'\n'), _) => Some(place + 1),
        (Some(b'\r'), Some(b'\n')) | (Some(b'\\'), Some(b'n')) => Some(place + 2),
        _ => None,
    };
    let is_full = |from: usize, to: usize| {
        bytes
            .get(from..to)
            .is_some_and(|line| line.iter().all(|byte| is_letter(*byte)))
    };
    let next = breaks(end).is_some_and(|next| {
        let shown = bytes.get(next..).unwrap_or_default().iter();
        shown
            .take(length)
            .take_while(|byte| is_letter(**byte))
            .count()
            >= 20.min(length)
    });
    let line = start
        .checked_sub(1)
        .filter(|place| matches!(bytes[*place], b'\n' | b'n'));
    let previous = line.is_some_and(|line| {
        let end = if bytes[line] == b'n' {
            line.saturating_sub(1)
        } else {
            line
        };
        end.checked_sub(length)
            .is_some_and(|from| is_full(from, end))
            || end.checked_sub(64).is_some_and(|from| is_full(from, end))
    });
    next || previous
}

/// How ids begin that services give to answers, calls, files and runs.
const IDS: &str = "call_|toolu_|tooluse_|chatcmpl-|cmpl-|msg_|resp_|req_|req-|run_|step_|thread_|asst_|file-|file_|gen-|rs_|fc_|fp_|ws_|batch_|\
    ftjob-|vs_|srvtoolu_|srvtooluse_|conv_|item_|event_|evt_|session_|sess_|trace_|span_|org-|org_|proj_|user-|user_|acct_|cus_|sub_|\
    price_|prod_|ch_|pi_|in_|seti_|cs_|txn_|mem_|doc_|chunk_|node_|task_|job_|container_|cntr_|ctc_|mcp_|lcall_|st_|snap_|wf_|\
    chatcmpl_|embd-|rerank-|cache-|toolcall_|functions-|ig_|ci_|cmpl_|image_|upload_|part_|W/";

/// How public keys, pictures, archives and other data begin in base64, and names that compilers make.
const DATA: &str = "AAAA|iVBORw0KGgo|R0lGOD|UklGR|JVBERi0|PHN2Zy|PD94bWw|UEsDB|H4sI|/9j/|9j/4|AGFzbQ|d09GM|T2dnU|SUkq|Qk0|MII|LS0tLS1|\
    _ZN|ZN4|ZNK|_R|sha1-|sha256-|sha384-|sha512-|md5-|pk_live_|pk_test_|pk_prod_";

/// What stands right before a digest or data.
const PREFIXES: &str = "base64,|sha1:|sha224:|sha256:|sha384:|sha512:|md5:|blake2b:|blake3:|h1:|sha1=|sha256=|sha512=|md5=|10c0|hash=sha256:|\
    digest:|checksum:|commit |fingerprint:|etag:|w/";

/// Words before a public key, a digest, a commit.
const PUBLIC: &str = "ssh-rsa|ssh-ed25519|ssh-dss|ecdsa-sha2-nistp256|ecdsa-sha2-nistp384|ecdsa-sha2-nistp521|commit|sha256|sha1|md5|digest|hash|revision|\
    fingerprint|etag|uuid|id";

#[cfg(test)]
mod tests {
    use super::{Span, find};

    fn found(text: &str) -> Vec<&str> {
        let mut spans: Vec<Span<'_>> = Vec::new();
        find(text, &mut spans);
        spans
            .iter()
            .map(|span| &text[span.start..span.end])
            .collect()
    }

    /// Made up here, so that no scanner takes this file for a leak.
    const CHANCE: [&str; 4] = [
        "x7Kq2Vw9Zp4Lm8Rt6Yb3Nc5Hd1Gf0Js",
        "Tz8/pQ4+rW2vK9xL6mB3nH7jF5dS1aGqYcEiUo0w",
        "q9w4z1v8m3j6x7k2b5n0h2d8f3g6s1l4p7r9t2y5",
        "9f86d081884c7d659a2feaa0c55ad015a3b",
    ];

    #[test]
    fn chance_is_found_wherever_it_stands() {
        for key in CHANCE {
            for text in [
                key.to_owned(),
                format!("got {key} back"),
                format!("value = \"{key}\""),
                format!(r#"{{"a":"x\n{key}\n"}}"#),
                format!("foo({key})"),
                format!("a.b.c: {key}, and so on"),
            ] {
                assert_eq!(found(&text), [key], "{text}");
            }
        }
    }

    #[test]
    fn what_identifies_is_left() {
        let chance = CHANCE[0];
        for text in [
            format!("https://docs.example.com/d/{chance}/edit"),
            format!(r#"{{"id":"{chance}"}}"#),
            format!(r#"{{"tool_call_id": "call_{chance}"}}"#),
            format!("etag: \"{chance}\""),
            format!("sha256:{chance}"),
            format!("data:image/png;base64,{chance}"),
            format!("/nix/store/{chance}-hello-2.12"),
            format!("src/assets/{chance}.js"),
            format!("ssh-ed25519 AAAA{chance}"),
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".to_owned(),
            "test_that_a_very_long_name_of_a_test_is_no_secret_v2".to_owned(),
            "01JD3Z9V7Q8M5T2R4W6Y8A0C2E".to_owned(),
        ] {
            assert!(found(&text).is_empty(), "{text}: {:?}", found(&text));
        }
    }
}
