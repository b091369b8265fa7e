//! Changes to a query that a click makes.

use super::{Expr, FieldName, Pattern, Query, QueryError, Test, parse};

/// The query narrowed to events whose field has that whole value, or (`include` false) to those
/// where it has not. Stages stay as they are. A test of the same field and value that is already
/// there is replaced, so that include after exclude does what it says.
///
/// # Errors
/// Where `query` cannot be read.
pub fn with_filter(query: &str, field: &str, value: &str, include: bool) -> Result<String, QueryError> {
    let Query { filter, stages } = parse(query)?;
    let test = Expr::Field(FieldName::new(field), Test::Exact(Pattern::literal(value)));
    let negated = Expr::Not(Box::new(test.clone()));
    let mut all = match filter {
        Expr::All => Vec::new(),
        Expr::And(list) => list,
        other => vec![other],
    };
    all.retain(|expr| *expr != test && *expr != negated);
    all.push(if include { test } else { negated });
    let filter = if all.len() == 1 { all.remove(0) } else { Expr::And(all) };
    Ok(Query { filter, stages }.to_string())
}
