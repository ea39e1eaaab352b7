//! The kinds of characters that decide where a text is cut into words.

/// What a character is for the cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The end of a line.
    LineFeed,
    /// White space within a line.
    White,
    /// A sign that belongs to the word if letters follow at once, as the point in `3.14`, and else closes
    /// what stands before it, as a comma or a bracket.
    Joining,
    /// Letters, digits, marks, emoji: whatever is nothing else.
    Letter,
    /// A sign that stands for itself: what opens brackets, quotes, and the characters of scripts that part
    /// no words.
    Sign,
}

const ASCII: [Kind; 128] = {
    let mut kinds = [Kind::Letter; 128];
    let mut at = 0;
    while at < kinds.len() {
        kinds[at] = ascii(at as u8);
        at += 1;
    }
    kinds
};

/// The kind of a character.
pub(crate) fn kind(character: char) -> Kind {
    let ascii = u8::try_from(character).ok().and_then(kind_of_ascii);
    ascii.unwrap_or_else(|| beyond_ascii(character))
}

/// The kind of a byte, if it is a character of its own.
#[inline]
pub(crate) fn kind_of_ascii(byte: u8) -> Option<Kind> {
    ASCII.get(usize::from(byte)).copied()
}

const fn ascii(byte: u8) -> Kind {
    match byte {
        b'\n' => Kind::LineFeed,
        b' ' | b'\t' | b'\r' | 0x0b | 0x0c => Kind::White,
        b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'_' => Kind::Letter,
        b'(' | b'[' | b'{' | b'<' | b'>' | b'"' | b'`' | b'*' | b'|' => Kind::Sign,
        0..=0x1f | 0x7f => Kind::Sign,
        _ => Kind::Joining,
    }
}

fn beyond_ascii(character: char) -> Kind {
    match character {
        '\u{85}' | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' => Kind::White,
        '\u{2028}' | '\u{2029}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => Kind::White,
        // The middle dot, hyphens, the apostrophe, the ellipsis.
        '\u{b7}' | '\u{2010}' | '\u{2011}' | '\u{2019}' | '\u{2026}' => Kind::Joining,
        // Letters and numbers among the signs of Latin-1.
        '\u{aa}' | '\u{ad}' | '\u{b2}' | '\u{b3}' | '\u{b5}' | '\u{b9}' | '\u{ba}' => Kind::Letter,
        '\u{bc}'..='\u{be}' => Kind::Letter,
        '\u{a1}'..='\u{bf}' | '\u{d7}' | '\u{f7}' => Kind::Sign,
        // Dashes, quotes, bullets.
        '\u{2012}'..='\u{2027}' | '\u{2030}'..='\u{205e}' => Kind::Sign,
        // Marks that belong to the kana before them.
        '\u{3099}' | '\u{309a}' => Kind::Letter,
        // Signs, kana and characters of Chinese and Japanese.
        '\u{3001}'..='\u{312f}' | '\u{31a0}'..='\u{31bf}' | '\u{31f0}'..='\u{31ff}' => Kind::Sign,
        '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' => Kind::Sign,
        '\u{ff01}'..='\u{ff0f}' | '\u{ff1a}'..='\u{ff20}' | '\u{ff3b}'..='\u{ff40}' => Kind::Sign,
        '\u{ff5b}'..='\u{ff9f}' | '\u{20000}'..='\u{3ffff}' => Kind::Sign,
        _ => Kind::Letter,
    }
}
