//! The condition language: `or`, `and`, `not`, brackets, `N of PATTERN`.

/// A condition, as its author nested it.
#[derive(Debug, PartialEq)]
pub(super) enum Condition {
    Or(Box<Condition>, Box<Condition>),
    And(Box<Condition>, Box<Condition>),
    Not(Box<Condition>),
    Search(String),
    /// So many, or all where `None`, of the identifiers that fit the pattern.
    Of(Option<usize>, String),
}

impl Condition {
    pub fn read(text: &str) -> Result<Self, String> {
        let spaced = text.replace('(', " ( ").replace(')', " ) ");
        let words: Vec<&str> = spaced.split_whitespace().collect();
        let (condition, rest) = or(&words)?;
        if rest.is_empty() { Ok(condition) } else { Err(format!("left over in the condition: {rest:?}")) }
    }

    pub fn holds(&self, names: &[&str], search: &dyn Fn(&str) -> bool) -> bool {
        match self {
            Self::Or(a, b) => a.holds(names, search) || b.holds(names, search),
            Self::And(a, b) => a.holds(names, search) && b.holds(names, search),
            Self::Not(a) => !a.holds(names, search),
            Self::Search(name) => search(name),
            Self::Of(amount, pattern) => {
                let chosen: Vec<&&str> = names.iter().filter(|name| fits(pattern, name)).collect();
                let held = chosen.iter().filter(|name| search(name)).count();
                held >= amount.unwrap_or(chosen.len())
            }
        }
    }
}

/// Whether a quantifier's pattern chooses the name. Names with an underscore first are left out,
/// unless the pattern asks for them.
fn fits(pattern: &str, name: &str) -> bool {
    if pattern.eq_ignore_ascii_case("them") {
        return !name.starts_with('_');
    }
    (!name.starts_with('_') || pattern.starts_with('_')) && star(pattern.as_bytes(), name.as_bytes())
}

fn star(pattern: &[u8], name: &[u8]) -> bool {
    match pattern {
        [] => name.is_empty(),
        [b'*', rest @ ..] => (0..=name.len()).any(|skip| star(rest, &name[skip..])),
        [c, rest @ ..] => name.first() == Some(c) && star(rest, &name[1..]),
    }
}

type Read<'a, 'b> = Result<(Condition, &'b [&'a str]), String>;

fn is(words: &[&str], keyword: &str) -> bool {
    words.first().is_some_and(|word| word.eq_ignore_ascii_case(keyword))
}

fn or<'a, 'b>(words: &'b [&'a str]) -> Read<'a, 'b> {
    let (mut left, mut rest) = and(words)?;
    while is(rest, "or") {
        let (right, after) = and(&rest[1..])?;
        (left, rest) = (Condition::Or(Box::new(left), Box::new(right)), after);
    }
    Ok((left, rest))
}

fn and<'a, 'b>(words: &'b [&'a str]) -> Read<'a, 'b> {
    let (mut left, mut rest) = not(words)?;
    while is(rest, "and") {
        let (right, after) = not(&rest[1..])?;
        (left, rest) = (Condition::And(Box::new(left), Box::new(right)), after);
    }
    Ok((left, rest))
}

fn not<'a, 'b>(words: &'b [&'a str]) -> Read<'a, 'b> {
    if is(words, "not") {
        let (inner, rest) = not(&words[1..])?;
        return Ok((Condition::Not(Box::new(inner)), rest));
    }
    if is(words, "(") {
        let (inner, rest) = or(&words[1..])?;
        return if is(rest, ")") { Ok((inner, &rest[1..])) } else { Err("a bracket is open".into()) };
    }
    if words.len() >= 3 && is(&words[1..], "of") {
        let amount = match words[0].to_ascii_lowercase().as_str() {
            "all" => None,
            "any" => Some(1),
            number => Some(number.parse().map_err(|_| format!("no amount: {number}"))?),
        };
        return Ok((Condition::Of(amount, words[2].to_owned()), &words[3..]));
    }
    match words {
        [name, rest @ ..] if !["and", "or", ")", "|"].contains(name) => {
            Ok((Condition::Search((*name).to_owned()), rest))
        }
        _ => Err("a search identifier is missing".into()),
    }
}
