//! Query text to tree: the stages behind `|`.

use super::{
    Aggregate, Comparison, Condition, FieldName, Function, QueryError, Stage,
    error::nearest,
    parse::{Reader, is_name},
};

/// The stages' names, for suggestions and completion.
pub(super) const STAGES: &[&str] =
    &["stats", "top", "rare", "timechart", "sort", "fields", "dedup", "where", "head", "rename"];

/// The functions' names, for suggestions and completion.
pub(super) const FUNCTIONS: &[&str] = &["count", "dc", "sum", "avg", "min", "max", "median", "p95", "values"];

/// The most rows that `head` and `top` may be asked for.
const MAX_COUNT: usize = 100_000;

/// Reads one stage, from behind its `|` to before the next.
pub(super) fn stage(reader: &mut Reader<'_>) -> Result<Stage, QueryError> {
    reader.space();
    let at = reader.at;
    let Some(word) = name_here(reader) else {
        return Err(
            QueryError::new(at, "expected a stage after |").suggest(format!("one of {}", STAGES.join(", ")))
        );
    };
    match word.to_ascii_lowercase().as_str() {
        "stats" => {
            let aggregates = aggregates(reader)?;
            Ok(Stage::Stats(aggregates, by(reader)?))
        }
        "top" => top(reader, false),
        "rare" => top(reader, true),
        "timechart" => timechart(reader),
        "sort" => sort(reader),
        "fields" | "table" => {
            reader.space();
            let drop = take(reader, "-");
            if !drop {
                take(reader, "+");
            }
            Ok(Stage::Fields(names(reader)?, drop))
        }
        "dedup" => Ok(Stage::Dedup(names(reader)?)),
        "where" => Ok(Stage::Where(any(reader)?)),
        "head" | "limit" => {
            reader.space();
            Ok(Stage::Head(if at_end(reader) { 10 } else { number(reader)? }))
        }
        "rename" => rename(reader),
        _ => {
            let error = QueryError::new(at, format!("there is no stage {word}"));
            Err(match nearest(&word, STAGES.iter().copied()) {
                Some(stage) => error.suggest(format!("did you mean {stage}?")),
                None => error.suggest(format!("one of {}", STAGES.join(", "))),
            })
        }
    }
}

fn at_end(reader: &mut Reader<'_>) -> bool {
    reader.space();
    matches!(reader.peek(), None | Some('|'))
}

/// Takes `what` if it stands here.
fn take(reader: &mut Reader<'_>, what: &str) -> bool {
    reader.space();
    let found = reader.rest().starts_with(what);
    if found {
        reader.at += what.len();
    }
    found
}

/// Takes the word if it stands here, whole, in any case.
fn take_word(reader: &mut Reader<'_>, word: &str) -> bool {
    reader.space();
    let rest = reader.rest();
    let found = rest.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word))
        && !rest[word.len()..].starts_with(is_name);
    if found {
        reader.at += word.len();
    }
    found
}

fn name_here(reader: &mut Reader<'_>) -> Option<String> {
    let rest = reader.rest();
    let len = rest.find(|c: char| !is_name(c)).unwrap_or(rest.len());
    if len == 0 {
        return None;
    }
    reader.at += len;
    Some(rest[..len].to_owned())
}

/// A field's name: bare, quoted, or a computed column as it is written (`dc(user)`).
fn field(reader: &mut Reader<'_>) -> Result<FieldName, QueryError> {
    reader.space();
    let at = reader.at;
    if reader.peek() == Some('"') {
        let name = reader.quoted()?;
        if name.is_empty() {
            return Err(QueryError::new(at, "a field's name cannot be empty"));
        }
        return Ok(FieldName { name, at });
    }
    match name_here(reader) {
        Some(name) => {
            if reader.peek() == Some('(')
                && let Some(function) = Function::from_word(&name)
            {
                reader.bump();
                let inner = field(reader)?;
                close(reader)?;
                return Ok(FieldName { name: format!("{function}({})", inner.name), at });
            }
            Ok(FieldName { name, at })
        }
        None => Err(QueryError::new(at, "expected a field's name")),
    }
}

fn close(reader: &mut Reader<'_>) -> Result<(), QueryError> {
    if take(reader, ")") { Ok(()) } else { Err(QueryError::new(reader.at, "expected )").suggest("add a )")) }
}

/// Names separated by commas or spaces.
fn names(reader: &mut Reader<'_>) -> Result<Vec<FieldName>, QueryError> {
    let mut names = vec![field(reader)?];
    loop {
        let comma = take(reader, ",");
        if !comma && at_end(reader) {
            return Ok(names);
        }
        names.push(field(reader)?);
    }
}

fn by(reader: &mut Reader<'_>) -> Result<Vec<FieldName>, QueryError> {
    if at_end(reader) {
        return Ok(Vec::new());
    }
    if !take_word(reader, "by") {
        return Err(QueryError::new(reader.at, "expected by, | or the end")
            .suggest("separate computed columns by commas"));
    }
    names(reader)
}

fn number(reader: &mut Reader<'_>) -> Result<usize, QueryError> {
    reader.space();
    let rest = reader.rest();
    let len = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    match rest[..len].parse::<usize>() {
        Ok(number @ 1..=MAX_COUNT) => {
            reader.at += len;
            Ok(number)
        }
        _ => Err(QueryError::new(reader.at, format!("expected a number from 1 to {MAX_COUNT}"))),
    }
}

fn aggregates(reader: &mut Reader<'_>) -> Result<Vec<Aggregate>, QueryError> {
    let mut list = vec![aggregate(reader)?];
    loop {
        let comma = take(reader, ",");
        if !comma {
            reader.space();
            let here = reader.at;
            let ends = at_end(reader) || take_word(reader, "by");
            reader.at = here;
            if ends {
                return Ok(list);
            }
        }
        list.push(aggregate(reader)?);
    }
}

fn aggregate(reader: &mut Reader<'_>) -> Result<Aggregate, QueryError> {
    reader.space();
    let at = reader.at;
    let known = || format!("one of {}", FUNCTIONS.join(", "));
    let Some(word) = name_here(reader) else {
        return Err(QueryError::new(at, "expected a function").suggest(known()));
    };
    let Some(function) = Function::from_word(&word) else {
        let error = QueryError::new(at, format!("there is no function {word}"));
        return Err(match nearest(&word, FUNCTIONS.iter().copied()) {
            Some(function) => error.suggest(format!("did you mean {function}?")),
            None => error.suggest(known()),
        });
    };
    let mut argument = None;
    if reader.peek() == Some('(') {
        reader.bump();
        reader.space();
        if !(function == Function::Count && (take(reader, ")") || take(reader, "*)"))) {
            argument = Some(field(reader)?);
            close(reader)?;
        }
    }
    if argument.is_none() && function != Function::Count {
        return Err(QueryError::new(reader.at, format!("{word} needs a field"))
            .suggest(format!("write it as {word}(field)")));
    }
    let name = if take_word(reader, "as") { Some(field(reader)?.name) } else { None };
    Ok(Aggregate { function, field: argument, name })
}

fn top(reader: &mut Reader<'_>, rare: bool) -> Result<Stage, QueryError> {
    reader.space();
    let start = reader.at;
    let count = match number(reader) {
        Ok(count) if reader.peek().is_some_and(char::is_whitespace) => count,
        _ => {
            reader.at = start;
            10
        }
    };
    let field = field(reader)?;
    Ok(Stage::Top { count, field, by: by(reader)?, rare })
}

fn timechart(reader: &mut Reader<'_>) -> Result<Stage, QueryError> {
    let mut span = None;
    if take_word(reader, "span") {
        if !take(reader, "=") {
            return Err(QueryError::new(reader.at, "expected = after span").suggest("write it as span=5m"));
        }
        reader.space();
        span = Some(duration(reader)?);
    }
    let aggregate = aggregate(reader)?;
    let mut by = by(reader)?;
    if let Some(second) = by.get(1) {
        return Err(QueryError::new(second.at, "a timechart is split by one field"));
    }
    Ok(Stage::Timechart { span, aggregate, by: by.pop() })
}

/// `30s`, `5m`, `2h`, `1d`, in seconds.
fn duration(reader: &mut Reader<'_>) -> Result<u64, QueryError> {
    let at = reader.at;
    let rest = reader.rest();
    let len = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
    let word = &rest[..len];
    let digits = word.find(|c: char| !c.is_ascii_digit()).unwrap_or(len);
    let unit = match word[digits..].to_ascii_lowercase().as_str() {
        "s" | "sec" => Some(1),
        "m" | "min" => Some(60),
        "h" | "hr" => Some(3_600),
        "d" | "day" => Some(86_400),
        "w" => Some(7 * 86_400),
        _ => None,
    };
    match (word[..digits].parse::<u32>(), unit) {
        (Ok(count @ 1..=1_000_000), Some(unit)) => {
            reader.at += len;
            Ok(u64::from(count) * unit)
        }
        _ => Err(QueryError::new(at, "expected a length of time").suggest("write it as 30s, 5m, 2h or 1d")),
    }
}

fn sort(reader: &mut Reader<'_>) -> Result<Stage, QueryError> {
    let mut keys = Vec::new();
    loop {
        let mut descending = take(reader, "-");
        if !descending {
            take(reader, "+");
        }
        let name = field(reader)?;
        if take_word(reader, "desc") {
            descending = true;
        } else {
            take_word(reader, "asc");
        }
        keys.push((name, descending));
        let comma = take(reader, ",");
        if !comma && at_end(reader) {
            return Ok(Stage::Sort(keys));
        }
    }
}

fn rename(reader: &mut Reader<'_>) -> Result<Stage, QueryError> {
    let mut pairs = Vec::new();
    loop {
        let from = field(reader)?;
        if !take_word(reader, "as") {
            return Err(QueryError::new(reader.at, "expected as").suggest("write it as: rename old as new"));
        }
        pairs.push((from, field(reader)?.name));
        if !take(reader, ",") {
            if at_end(reader) {
                return Ok(Stage::Rename(pairs));
            }
            return Err(QueryError::new(reader.at, "expected a comma, | or the end"));
        }
    }
}

fn any(reader: &mut Reader<'_>) -> Result<Condition, QueryError> {
    let mut list = vec![all(reader)?];
    while take_word(reader, "or") {
        list.push(all(reader)?);
    }
    Ok(one_or(list, Condition::Or))
}

fn all(reader: &mut Reader<'_>) -> Result<Condition, QueryError> {
    let mut list = vec![condition(reader)?];
    while take_word(reader, "and") {
        list.push(condition(reader)?);
    }
    Ok(one_or(list, Condition::And))
}

fn one_or(mut list: Vec<Condition>, many: fn(Vec<Condition>) -> Condition) -> Condition {
    match list.len() {
        1 => list.remove(0),
        _ => many(list),
    }
}

fn condition(reader: &mut Reader<'_>) -> Result<Condition, QueryError> {
    reader.deeper()?;
    let result = if take_word(reader, "not") {
        Condition::Not(Box::new(condition(reader)?))
    } else if take(reader, "(") {
        let inner = any(reader)?;
        close(reader)?;
        inner
    } else {
        compare(reader)?
    };
    reader.depth -= 1;
    Ok(result)
}

fn compare(reader: &mut Reader<'_>) -> Result<Condition, QueryError> {
    let name = field(reader)?;
    reader.space();
    // Longer operators first.
    let operators = [
        ("==", Comparison::Equal),
        ("!=", Comparison::NotEqual),
        ("<>", Comparison::NotEqual),
        ("<=", Comparison::LessOrEqual),
        (">=", Comparison::GreaterOrEqual),
        ("=", Comparison::Equal),
        ("<", Comparison::Less),
        (">", Comparison::Greater),
    ];
    let Some((_, comparison)) = operators.into_iter().find(|(text, _)| take(reader, text)) else {
        return Err(QueryError::new(reader.at, format!("expected a comparison after {}", name.name))
            .suggest("one of = != < <= > >="));
    };
    reader.space();
    let value = if reader.peek() == Some('"') {
        reader.quoted()?
    } else {
        let rest = reader.rest();
        let len = rest
            .find(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '|' | '"'))
            .unwrap_or(rest.len());
        if len == 0 {
            return Err(QueryError::new(reader.at, "expected a value to compare with"));
        }
        reader.at += len;
        rest[..len].to_owned()
    };
    Ok(Condition::Compare(name, comparison, value))
}
