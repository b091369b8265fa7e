//! Text: lower case, Sigma's wildcards and escapes, dashes.

/// Lower case, character by character; a character whose lower case is several stays.
pub(super) fn lower(text: &str) -> String {
    let one = |c: char| {
        let lowered: Vec<char> = c.to_lowercase().collect();
        if lowered.len() == 1 { lowered[0] } else { c }
    };
    text.chars().map(one).collect()
}

/// One place of a pattern.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Piece {
    /// This character.
    Is(char),
    /// Any character that Windows takes for a dash before a flag.
    Dash,
    /// Any one character.
    One,
    /// Any number of characters.
    Many,
}

const DASHES: [char; 5] = ['-', '/', '–', '—', '―'];

/// Reads wildcards and escapes: a backslash takes the meaning off `*`, `?` or a backslash behind it,
/// and is itself before anything else.
pub(super) fn pieces(text: &str) -> Vec<Piece> {
    let chars: Vec<char> = text.chars().collect();
    let mut pieces = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('\\', Some(next @ ('*' | '?' | '\\'))) => {
                pieces.push(Piece::Is(*next));
                at += 1;
            }
            ('*', _) => pieces.push(Piece::Many),
            ('?', _) => pieces.push(Piece::One),
            (c, _) => pieces.push(Piece::Is(c)),
        }
        at += 1;
    }
    pieces
}

/// The text itself, without wildcards.
pub(super) fn plain(text: &str) -> Vec<Piece> {
    text.chars().map(Piece::Is).collect()
}

/// `windash`: a dash that stands before a word and not within or behind one may be any of them.
pub(super) fn windash(pieces: &[Piece]) -> Vec<Piece> {
    let word =
        |piece: Option<&Piece>| matches!(piece, Some(Piece::Is(c)) if c.is_alphanumeric() || *c == '_');
    let one = |(at, piece): (usize, &Piece)| {
        let dash = matches!(piece, Piece::Is(c) if DASHES.contains(c));
        let before = at.checked_sub(1).and_then(|before| pieces.get(before));
        if dash && !word(before) && word(pieces.get(at + 1)) { Piece::Dash } else { *piece }
    };
    pieces.iter().enumerate().map(one).collect()
}

/// Whether the whole text is described by the pieces.
pub(super) fn fits(pieces: &[Piece], text: &str) -> bool {
    // `*literal*` and its kin are what they say, and texts are long.
    let open_start = pieces.first() == Some(&Piece::Many);
    let open_end = pieces.len() > 1 && pieces.last() == Some(&Piece::Many);
    let inner = &pieces[usize::from(open_start)..pieces.len() - usize::from(open_end)];
    let literal: Option<String> =
        inner.iter().map(|piece| if let Piece::Is(c) = piece { Some(*c) } else { None }).collect();
    if let Some(literal) = literal {
        return match (open_start, open_end) {
            (false, false) => text == literal,
            (false, true) => text.starts_with(&literal),
            (true, false) => text.ends_with(&literal),
            (true, true) => text.contains(&literal),
        };
    }
    // `reached[n]`: the first n pieces describe the text so far.
    let mut reached = vec![false; pieces.len() + 1];
    reached[0] = true;
    spread(pieces, &mut reached);
    for c in text.chars() {
        let mut next = vec![false; pieces.len() + 1];
        for (n, piece) in pieces.iter().enumerate() {
            if !reached[n] {
                continue;
            }
            match piece {
                Piece::Many => next[n] = true,
                Piece::One => next[n + 1] = true,
                Piece::Dash => next[n + 1] |= DASHES.contains(&c),
                Piece::Is(have) => next[n + 1] |= *have == c,
            }
        }
        reached = next;
        spread(pieces, &mut reached);
        if !reached.contains(&true) {
            return false;
        }
    }
    reached[pieces.len()]
}

/// A `*` may stand for nothing.
fn spread(pieces: &[Piece], reached: &mut [bool]) {
    for (n, piece) in pieces.iter().enumerate() {
        if *piece == Piece::Many && reached[n] {
            reached[n + 1] = true;
        }
    }
}
