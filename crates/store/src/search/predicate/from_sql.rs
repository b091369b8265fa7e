//! What a filter in SQL surely demands, as a predicate.
//!
//! The predicate may let through more than the filter does (it ignores case), never less.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::{
    common::ScalarValue,
    logical_expr::{BinaryExpr, Expr, Operator},
};

use super::{Node, NumberTest};
use crate::{
    events::{event_schema, schema::index},
    search::{
        language::{Pattern, Piece},
        text::{Limit, TextTest},
    },
};

/// Finds a column: its place, none within for the original; none at all where it is unknown.
pub(super) type Find<'a> = dyn Fn(&str) -> Option<Option<usize>> + 'a;

pub(super) fn node(filter: &Expr, find: &Find<'_>) -> Option<Node> {
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            match (node(left, find), node(right, find)) {
                (Some(a), Some(b)) => Some(Node::And(vec![a, b])),
                (one, other) => one.or(other),
            }
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            Some(Node::Or(vec![node(left, find)?, node(right, find)?]))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (column(left, find), &**right) {
            (Some(place), Expr::Literal(value, _)) => compare(place, *op, value),
            _ => match (column(right, find), &**left) {
                (Some(place), Expr::Literal(value, _)) => compare(place, op.swap()?, value),
                _ => None,
            },
        },
        Expr::Like(like) if !like.negated && like.escape_char.is_none() => {
            let place = column(&like.expr, find)?;
            let Expr::Literal(value, _) = &*like.pattern else { return None };
            let pattern = value.try_as_str().flatten()?;
            text(place, TextTest::pattern(&pattern_of(pattern)?, true))
        }
        Expr::InList(list) if !list.negated => {
            let place = column(&list.expr, find)?;
            let nodes: Option<Vec<Node>> = list
                .list
                .iter()
                .map(|value| match value {
                    Expr::Literal(value, _) => compare(place, Operator::Eq, value),
                    _ => None,
                })
                .collect();
            Some(Node::Or(nodes?))
        }
        Expr::Between(between) if !between.negated => {
            let place = column(&between.expr, find)?;
            let bound = |op, expr: &Expr| match expr {
                Expr::Literal(value, _) => compare(place, op, value),
                _ => None,
            };
            match (bound(Operator::GtEq, &between.low), bound(Operator::LtEq, &between.high)) {
                (Some(a), Some(b)) => Some(Node::And(vec![a, b])),
                (one, other) => one.or(other),
            }
        }
        _ => None,
    }
}

fn column(expr: &Expr, find: &Find<'_>) -> Option<Option<usize>> {
    match expr {
        Expr::Column(column) => find(&column.name),
        // A cast between text types changes nothing that matters here.
        Expr::Cast(cast) if matches!(cast.field.data_type(), DataType::Utf8 | DataType::Utf8View) => {
            column(&cast.expr, find).filter(|place| place.is_none_or(is_text))
        }
        _ => None,
    }
}

fn is_text(place: usize) -> bool {
    *event_schema().field(place).data_type() == DataType::Utf8View
}

fn text(place: Option<usize>, test: TextTest) -> Option<Node> {
    match place {
        None => Some(Node::Original(test)),
        Some(place) => is_text(place).then_some(Node::Text(place, test)),
    }
}

/// SQL's pattern; none where it has escapes.
fn pattern_of(pattern: &str) -> Option<Pattern> {
    if pattern.contains('\\') {
        return None;
    }
    let mut pieces: Vec<Piece> = Vec::new();
    for c in pattern.chars() {
        match (c, pieces.last_mut()) {
            ('%', Some(Piece::Any)) => {}
            ('%', _) => pieces.push(Piece::Any),
            ('_', _) => pieces.push(Piece::One),
            (c, Some(Piece::Literal(text))) => text.push(c),
            (c, _) => pieces.push(Piece::Literal(c.to_string())),
        }
    }
    // A lone % passes the empty text too, which a question for existence does not.
    (pieces.as_slice() != [Piece::Any]).then_some(Pattern(pieces))
}

fn compare(place: Option<usize>, op: Operator, value: &ScalarValue) -> Option<Node> {
    if let Some(literal) = value.try_as_str().flatten() {
        return match op {
            Operator::Eq => text(place, TextTest::pattern(&Pattern::literal(literal), true)),
            _ => None,
        };
    }
    let place = place?;
    let schema = event_schema();
    let number = match schema.field(place).data_type() {
        DataType::Int32 | DataType::Int64 => match value.cast_to(&DataType::Int64).ok()? {
            ScalarValue::Int64(number) => number?,
            _ => return None,
        },
        DataType::Timestamp(..) => match value {
            ScalarValue::TimestampMicrosecond(Some(micros), _) => *micros,
            ScalarValue::TimestampSecond(Some(_), _)
            | ScalarValue::TimestampMillisecond(Some(_), _)
            | ScalarValue::TimestampNanosecond(Some(_), _) => {
                match value.cast_to(&DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))).ok()? {
                    ScalarValue::TimestampMicrosecond(micros, _) => micros?,
                    _ => return None,
                }
            }
            _ => return None,
        },
        _ => return None,
    };
    // A cast that rounded would move the bound; one to spare on either side lets more through.
    let exact = place != index::TIME && place != index::RECEIVED && value.data_type().is_integer();
    let spare = i64::from(!exact);
    let limit =
        |value: i64| Limit { value: Some(value.to_string()), number: Some(value as f64), including: true };
    let open = || Limit { value: None, number: None, including: true };
    let within = |from: i64, to: i64| Node::Number(place, NumberTest::Within(from, to));
    Some(match op {
        Operator::Eq if exact => Node::Number(place, NumberTest::OneOf(vec![number])),
        Operator::Eq => within(number.saturating_sub(spare), number.saturating_add(spare + 1)),
        Operator::Gt | Operator::GtEq if exact => {
            Node::Number(place, NumberTest::Range(limit(number), open()))
        }
        Operator::Lt | Operator::LtEq if exact => {
            Node::Number(place, NumberTest::Range(open(), limit(number)))
        }
        Operator::Gt | Operator::GtEq => within(number.saturating_sub(spare), i64::MAX),
        Operator::Lt | Operator::LtEq => within(i64::MIN, number.saturating_add(spare + 1)),
        _ => return None,
    })
}
