//! How often each word of a text occurs: hashing, comparing, a growing table.

use std::collections::HashMap;

use crate::random::Random;

pub(crate) fn run(size: u64) -> u64 {
    let text = text(size as usize);
    // The order of the words differs from run to run, the sum does not.
    count_words(&text)
        .into_iter()
        .fold(0, |sum, (word, count)| {
            let word = word.bytes().fold(count, |hash, byte| {
                hash.wrapping_mul(31).wrapping_add(u64::from(byte))
            });
            sum.wrapping_add(word)
        })
}

fn count_words(text: &str) -> HashMap<&str, u64> {
    let mut counts = HashMap::new();
    for word in text.split_ascii_whitespace() {
        *counts.entry(word).or_default() += 1;
    }
    counts
}

/// Words out of some thousands, the first of them often and the last hardly ever.
fn text(words: usize) -> String {
    let mut random = Random::new();
    let vocabulary = (0..5_000).map(|_| word(&mut random)).collect::<Vec<_>>();
    let mut text = String::new();
    for _ in 0..words {
        let skew = random.fraction();
        let index = skew * skew * skew * vocabulary.len() as f64;
        text.push_str(&vocabulary[index as usize]);
        text.push(' ');
    }
    text
}

fn word(random: &mut Random) -> String {
    let length = 2 + random.below(9);
    let letters = (0..length).map(|_| char::from(b'a' + random.below(26) as u8));
    letters.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted() {
        let counts = count_words("to be or not  to be\n");
        assert_eq!(
            counts,
            HashMap::from([("to", 2), ("be", 2), ("or", 1), ("not", 1)])
        );
    }

    #[test]
    fn the_text_has_that_many_words_and_many_different_ones() {
        let text = text(10_000);
        let counts = count_words(&text);
        assert_eq!(counts.values().sum::<u64>(), 10_000);
        assert!((2_000..5_000).contains(&counts.len()), "{}", counts.len());
    }
}
