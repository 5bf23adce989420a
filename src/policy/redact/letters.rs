//! Tells chance from language by pairs of letters: how much likelier a word is as text than as a key drawn at random.
//!
//! The figures were counted in recorded agent sessions, source code of many projects and their documentation: each word
//! with its capitals, digits and signs. Strings drawn by chance lie tens of points below zero, words and names above.

/// Eighths of a natural logarithm, so that all is whole numbers.
const UNIT: i32 = 8;

/// Letters of either case, then any digit, then any sign.
const SYMBOLS: usize = 28;
const DIGIT: usize = 26;
const SIGN: usize = 27;

/// How improbable the second symbol is behind the first: minus its logarithm, in eighths.
#[rustfmt::skip]
static PAIRS: [[u8; SYMBOLS]; SYMBOLS] = [
    [44, 27, 22, 23, 43, 39, 26, 56, 29, 55, 38, 18, 23, 20, 55, 24, 53, 18, 21, 15, 31, 37, 38, 35, 33, 50, 33, 27],
    [18, 35, 30, 36, 20, 38, 38, 47, 19, 27, 45, 16, 36, 37, 22, 38, 49, 27, 26, 34, 18, 46, 47, 48, 25, 50, 23, 19],
    [18, 38, 32, 37, 18, 38, 48, 19, 29, 60, 23, 23, 34, 39, 13, 36, 52, 24, 30, 19, 29, 44, 51, 52, 38, 57, 32, 24],
    [21, 35, 35, 26, 11, 35, 36, 43, 17, 43, 45, 29, 37, 41, 25, 36, 51, 27, 26, 35, 31, 41, 36, 47, 37, 59, 24, 14],
    [25, 39, 24, 22, 34, 32, 34, 50, 40, 58, 47, 22, 28, 18, 41, 32, 36, 15, 18, 21, 47, 31, 39, 25, 34, 58, 36, 18],
    [22, 38, 36, 34, 23, 22, 42, 52, 13, 53, 50, 21, 40, 37, 17, 41, 55, 23, 28, 30, 28, 48, 47, 49, 37, 57, 26, 14],
    [28, 41, 35, 40, 10, 40, 33, 28, 21, 55, 46, 25, 31, 25, 26, 34, 48, 21, 23, 30, 29, 44, 46, 50, 42, 49, 38, 15],
    [14, 41, 38, 35, 13, 42, 45, 48, 20, 54, 41, 36, 30, 41, 18, 37, 49, 26, 32, 20, 26, 45, 38, 52, 36, 50, 34, 17],
    [30, 33, 22, 22, 28, 29, 27, 57, 47, 59, 49, 23, 25, 12, 19, 29, 54, 30, 22, 18, 51, 32, 53, 36, 63, 31, 34, 31],
    [18, 34, 35, 34, 9, 38, 40, 40, 28, 39, 33, 37, 35, 36, 19, 30, 36, 38, 19, 38, 26, 35, 34, 40, 38, 40, 25, 23],
    [26, 37, 30, 32, 7, 37, 30, 43, 21, 45, 47, 34, 38, 29, 36, 35, 44, 35, 23, 32, 29, 39, 37, 42, 41, 48, 33, 15],
    [19, 39, 37, 28, 14, 21, 40, 51, 16, 58, 43, 20, 43, 41, 19, 33, 60, 43, 28, 27, 26, 40, 51, 59, 32, 58, 35, 19],
    [14, 29, 36, 34, 12, 42, 43, 50, 20, 54, 49, 29, 29, 38, 21, 19, 51, 41, 27, 35, 28, 48, 48, 49, 41, 53, 38, 19],
    [22, 44, 24, 19, 19, 27, 19, 42, 26, 54, 35, 33, 42, 32, 23, 36, 55, 39, 20, 15, 30, 32, 46, 56, 43, 56, 38, 19],
    [35, 32, 24, 24, 46, 32, 33, 53, 33, 48, 33, 23, 22, 13, 29, 23, 59, 15, 28, 26, 23, 33, 28, 41, 54, 48, 45, 25],
    [16, 42, 34, 34, 16, 39, 44, 31, 25, 61, 32, 21, 42, 42, 20, 25, 51, 17, 28, 20, 26, 40, 44, 53, 29, 55, 37, 20],
    [36, 38, 37, 32, 34, 37, 34, 36, 37, 43, 42, 14, 36, 38, 37, 38, 34, 33, 29, 33, 6, 39, 33, 41, 35, 40, 27, 21],
    [19, 43, 28, 31, 12, 38, 32, 53, 19, 58, 38, 35, 29, 33, 18, 38, 58, 25, 23, 23, 31, 33, 47, 54, 28, 61, 41, 19],
    [28, 45, 27, 41, 13, 42, 43, 27, 21, 61, 37, 34, 38, 37, 26, 26, 36, 38, 23, 13, 27, 43, 41, 53, 32, 41, 39, 15],
    [20, 42, 31, 37, 14, 37, 48, 23, 17, 62, 49, 34, 36, 45, 22, 32, 57, 20, 26, 28, 30, 48, 44, 43, 26, 54, 39, 15],
    [30, 26, 29, 30, 21, 29, 35, 56, 25, 60, 57, 21, 23, 17, 42, 22, 58, 18, 18, 17, 47, 52, 54, 42, 56, 54, 21, 36],
    [13, 39, 32, 40, 8, 37, 41, 43, 15, 51, 49, 38, 37, 34, 30, 31, 43, 38, 35, 35, 48, 50, 46, 40, 46, 49, 24, 25],
    [19, 41, 32, 34, 20, 38, 41, 27, 12, 47, 43, 30, 29, 22, 22, 36, 44, 19, 23, 33, 36, 44, 34, 44, 45, 43, 33, 19],
    [27, 33, 23, 31, 19, 31, 44, 41, 26, 48, 48, 36, 31, 42, 38, 21, 46, 38, 33, 13, 44, 43, 42, 42, 31, 50, 15, 15],
    [32, 34, 30, 33, 30, 37, 32, 44, 33, 46, 46, 27, 29, 25, 33, 13, 47, 35, 19, 22, 43, 38, 34, 47, 44, 43, 34, 10],
    [22, 38, 31, 30, 7, 35, 38, 39, 20, 41, 44, 35, 33, 39, 25, 30, 41, 31, 24, 36, 34, 35, 34, 39, 31, 33, 28, 28],
    [35, 34, 35, 30, 35, 34, 49, 51, 35, 51, 48, 49, 47, 49, 47, 46, 51, 47, 47, 46, 34, 47, 50, 31, 52, 52, 3, 16],
    [24, 27, 20, 24, 25, 26, 30, 32, 23, 45, 37, 26, 25, 27, 28, 22, 45, 24, 19, 23, 30, 31, 31, 42, 52, 49, 22, 24],
];

/// Among letters: how improbable is a small one and a capital behind a small one, and behind a capital, less what they
/// would be by chance.
static CASES: [[i32; 2]; 2] = [[-5, 19], [9, -4]];

/// Chance, in the same measure: a letter, a digit or a sign out of letters of one case or of two, with digits.
const CHANCE_ONE_CASE: [i32; 3] = [29, 10, 28];
const CHANCE_TWO_CASES: [i32; 3] = [27, 15, 28];

/// How much likelier the text is as language than as chance, in natural logarithms. Below minus ten it is chance.
pub(super) fn score(text: &str) -> i32 {
    let bytes = text.as_bytes();
    let has_small = bytes.iter().any(u8::is_ascii_lowercase);
    let has_capital = bytes.iter().any(u8::is_ascii_uppercase);
    let mixes = has_small && has_capital;
    let chance = if mixes {
        CHANCE_TWO_CASES
    } else {
        CHANCE_ONE_CASE
    };
    let mut sum = 0;
    for pair in bytes.windows(2) {
        let (first, second) = (pair[0], pair[1]);
        let symbol = symbol(second);
        let by_chance = chance[symbol.saturating_sub(DIGIT - 1).min(2)];
        sum += by_chance - i32::from(PAIRS[self::symbol(first)][symbol]);
        if mixes && first.is_ascii_alphabetic() && second.is_ascii_alphabetic() {
            let case = |byte: u8| usize::from(byte.is_ascii_uppercase());
            sum -= CASES[case(first)][case(second)];
        }
    }
    sum / UNIT
}

fn symbol(byte: u8) -> usize {
    match byte {
        b'a'..=b'z' => usize::from(byte - b'a'),
        b'A'..=b'Z' => usize::from(byte - b'A'),
        b'0'..=b'9' => DIGIT,
        _ => SIGN,
    }
}

#[cfg(test)]
mod tests {
    use super::score;

    #[test]
    fn words_and_names_are_language() {
        for word in [
            "test_migrations_are_applied_in_order",
            "getElementsByClassName",
            "PropertyNameParseIndicSyllabicCategoryV1",
            "django/contrib/admin/templates/admin/base_site",
            "deepseek-reasoner-2025-01-20",
            "RSA_PKCS1_2048_8192_SHA256",
            "internationalization",
        ] {
            assert!(score(word) > 0, "{word}: {}", score(word));
        }
    }

    #[test]
    fn chance_is_chance() {
        for drawn in [
            "gfM0agPnIjhQWx0ZT0MW",
            "y9ZyCi6Qms1YvE5ZhJsClHaD",
            "x7k2q9w4z1v8m3j6",
            "QZXJ7KWV2PHB5MTD",
        ] {
            assert!(score(drawn) < -10, "{drawn}: {}", score(drawn));
        }
    }
}
