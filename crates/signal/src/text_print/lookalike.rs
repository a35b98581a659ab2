//! Characters that people write in place of a letter: digits, signs, letters of other scripts.
//!
//! **Invariant:** the table is that of `docs/format.md`, section 6; a change of it is a new form of the value.
//! **Invariant:** what a character is replaced by is never replaced itself.

/// Each letter with the characters that stand for it. All are as they are after compatibility
/// decomposition and lower case.
pub(super) const LOOKALIKES: [(char, &str); 25] = [
    ('a', "4@αаɑᴀ"),
    ('b', "8βбвьъʙ"),
    ('c', "¢сᴄ"),
    ('d', "đðԁᴅ"),
    ('e', "3€εеєзҽɛᴇ"),
    ('f', "ƒғꜰ"),
    ('g', "69ɡԍɢ"),
    ('h', "ħнһʜ"),
    ('i', "1l!|łıιіӏɩɪʟǀ"),
    ('j', "јϳᴊ"),
    ('k', "кκĸᴋ"),
    ('m', "мᴍ"),
    ('n', "ηипոɴ"),
    ('o', "0øοоσςօᴏө"),
    ('p', "þρрᴘ"),
    ('q', "ԛ"),
    ('r', "гяʀ"),
    ('s', "5$§ßѕꜱ"),
    ('t', "7+†ŧτтᴛ"),
    ('u', "μυսцᴜ"),
    ('v', "νѵᴠ√"),
    ('w', "ωшщѡԝᴡ"),
    ('x', "×χх"),
    ('y', "¥γуүʏ"),
    ('z', "2ᴢ"),
];

/// Letters in circles and squares that have no decomposition, by the first of each alphabet.
pub(super) const ALPHABETS: [char; 3] = ['🅐', '🅰', '🇦'];

/// Letters of such an alphabet.
const LETTERS: u32 = 26;

/// The letter that a character stands for; the character itself where it stands for none.
pub(super) fn letter(character: char) -> char {
    if character.is_ascii_lowercase() && character != 'l' {
        return character;
    }
    let standing = |(_, characters): &&(char, &str)| characters.contains(character);
    if let Some((letter, _)) = LOOKALIKES.iter().find(standing) {
        return *letter;
    }
    let place = |first: &char| u32::from(character).checked_sub(u32::from(*first));
    let place = ALPHABETS.iter().filter_map(place).find(|place| *place < LETTERS);
    match place.and_then(|place| char::from_u32(u32::from('a') + place)) {
        Some('l') => 'i',
        Some(letter) => letter,
        None => character,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_for_a_letter_stands_for_one_and_is_none_of_them() {
        let mut all: Vec<char> = LOOKALIKES.iter().flat_map(|(_, all)| all.chars()).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
        for (to, _) in LOOKALIKES {
            assert!(!all.contains(&to), "{to}");
            assert_eq!(letter(to), to);
        }
    }

    #[test]
    fn the_table_holds_what_decomposition_and_lower_case_leave() {
        use unicode_normalization::UnicodeNormalization;
        for character in LOOKALIKES.iter().flat_map(|(_, all)| all.chars()) {
            let left: String = character.nfkd().flat_map(char::to_lowercase).collect();
            assert_eq!(left, character.to_string());
        }
    }

    #[test]
    fn the_table_is_that_of_the_format() {
        let format = include_str!("../../../../docs/format.md");
        let table: String =
            LOOKALIKES.iter().map(|(letter, all)| format!("{letter} {all}\n")).collect();
        assert!(format.contains(&format!("```\n{table}```")), "the table should read:\n{table}");
    }

    #[test]
    fn letters_in_circles_are_letters() {
        assert_eq!("🅗🅰🇹🇪🅛".chars().map(letter).collect::<String>(), "hatei");
    }
}
