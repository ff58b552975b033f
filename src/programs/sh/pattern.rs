//! Shell patterns (POSIX.1-2017, 2.13): `*`, `?`, `[a-z]`, `[!a-z]`, and a backslash for what stands for itself.

/// One element of a pattern.
enum Element {
    Letter(char),
    Any,
    Many,
    /// Ranges, and whether one of them has to match.
    Set(Vec<(char, char)>, bool),
}

/// Adds text to a pattern; what was quoted stands for itself there.
pub(super) fn extend(pattern: &mut String, text: &str, quoted: bool) {
    for letter in text.chars() {
        if quoted && "*?[]\\!-^".contains(letter) {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
}

/// True if the whole text matches.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let letters: Vec<char> = text.chars().collect();
    whole(&compile(pattern), &letters)
}

/// Bytes of the shortest or longest beginning of `text` that matches.
pub(super) fn beginning(pattern: &str, text: &str, longest: bool) -> Option<usize> {
    let elements = compile(pattern);
    let letters: Vec<char> = text.chars().collect();
    let count = lengths(letters.len(), longest).find(|count| whole(&elements, &letters[..*count]))?;
    Some(letters[..count].iter().map(|letter| letter.len_utf8()).sum())
}

/// Where the shortest or longest end of `text` that matches begins, in bytes.
pub(super) fn ending(pattern: &str, text: &str, longest: bool) -> Option<usize> {
    let elements = compile(pattern);
    let letters: Vec<char> = text.chars().collect();
    let found = |count: &usize| whole(&elements, &letters[letters.len() - count..]);
    let count = lengths(letters.len(), longest).find(found)?;
    Some(letters[..letters.len() - count].iter().map(|letter| letter.len_utf8()).sum())
}

fn lengths(all: usize, longest: bool) -> Box<dyn Iterator<Item = usize>> {
    if longest { Box::new((0..=all).rev()) } else { Box::new(0..=all) }
}

fn compile(pattern: &str) -> Vec<Element> {
    let letters: Vec<char> = pattern.chars().collect();
    let (mut elements, mut at) = (Vec::new(), 0);
    while let Some(letter) = letters.get(at) {
        at += 1;
        elements.push(match letter {
            '*' => Element::Many,
            '?' => Element::Any,
            '\\' => {
                at += 1;
                Element::Letter(letters.get(at - 1).copied().unwrap_or('\\'))
            }
            '[' => match set(&letters[at..]) {
                Some((element, length)) => {
                    at += length;
                    element
                }
                None => Element::Letter('['),
            },
            letter => Element::Letter(*letter),
        });
    }
    elements
}

/// Behind `[`: the set and its length with the closing bracket. `None`: there is no bracket, the letter is itself.
fn set(letters: &[char]) -> Option<(Element, usize)> {
    let negated = matches!(letters.first(), Some('!' | '^'));
    let mut at = usize::from(negated);
    let mut ranges = Vec::new();
    loop {
        let mut letter = *letters.get(at)?;
        if letter == ']' && !ranges.is_empty() {
            return Some((Element::Set(ranges, !negated), at + 1));
        }
        if letter == '\\' {
            at += 1;
            letter = *letters.get(at)?;
        }
        match (letters.get(at + 1), letters.get(at + 2)) {
            (Some('-'), Some(last)) if *last != ']' => {
                ranges.push((letter, *last));
                at += 3;
            }
            _ => {
                ranges.push((letter, letter));
                at += 1;
            }
        }
    }
}

/// Remembers the last `*` only: what an earlier one could take, a later one can take too.
fn whole(elements: &[Element], text: &[char]) -> bool {
    let (mut element, mut at) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let matched = match (elements.get(element), text.get(at)) {
            (None, None) => return true,
            (Some(Element::Many), _) => {
                retry = Some((element + 1, at));
                element += 1;
                continue;
            }
            (Some(Element::Any), Some(_)) => true,
            (Some(Element::Letter(expected)), Some(found)) => expected == found,
            (Some(Element::Set(ranges, inside)), Some(found)) => {
                ranges.iter().any(|(first, last)| (first..=last).contains(&found)) == *inside
            }
            (Some(_), None) | (None, Some(_)) => false,
        };
        if matched {
            (element, at) = (element + 1, at + 1);
            continue;
        }
        match retry {
            Some((after, from)) if from < text.len() => {
                retry = Some((after, from + 1));
                (element, at) = (after, from + 1);
            }
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_texts() {
        for (pattern, text, expected) in [
            ("a*c", "abbc", true),
            ("a*c", "abbcd", false),
            ("*b*c*", "xbxcx", true),
            ("?", "", false),
            ("[a-c]?", "bx", true),
            ("[!a-c]", "b", false),
            ("[]a]", "]", true),
            ("[a", "[a", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("", "", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
        assert!(!matches(&"*a".repeat(30), &"a".repeat(29)), "takes exponential time");
    }

    #[test]
    fn beginnings_and_endings_are_short_or_long() {
        assert_eq!((beginning("*/", "a/b/c", false), beginning("*/", "a/b/c", true)), (Some(2), Some(4)));
        assert_eq!((ending("/*", "ä/b/c", false), ending("/*", "ä/b/c", true)), (Some(4), Some(2)));
        assert_eq!(beginning("-", "redis", false), None);
    }
}
