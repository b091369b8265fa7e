//! Stages over events, as a DataFusion plan over [`EventsTable`].
//!
//! Up to the first `stats`, `top`, `rare` or `timechart` a row is an event, and any field of it may
//! be named; from there on only the columns that the stage made.

use arrow::datatypes::DataType;
use covigil_model::Time;
use datafusion::{
    common::{Column as PlanColumn, ScalarValue},
    functions::string::expr_fn::lower,
    functions_aggregate::expr_fn::{
        approx_percentile_cont, array_agg, avg, count, count_distinct, max, min, sum,
    },
    functions_aggregate::sum::sum_udaf,
    functions_nested::expr_fn::{array_slice, array_sort, array_to_string},
    functions_window::expr_fn::row_number,
    logical_expr::{
        Expr, ExprFunctionExt as _,
        expr::{Sort, WindowFunction},
        lit, try_cast,
    },
    prelude::{DataFrame, SessionContext},
};

use super::{
    SearchError,
    gather::step_for,
    language::{Aggregate, Comparison, Condition, FieldName, Function, Query, QueryError, Stage},
    output::Output,
    table::{EventsTable, Source},
};

/// Columns of an event that are shown where a query does not say which.
const SHOWN: [&str; 6] = ["time", "host", "user", "src", "process", "message"];
/// The hidden column by which events are ordered.
const ORDER: &str = "\u{1}order";
/// Values that `values` joins.
const MAX_VALUES: i64 = 100;

/// Names, ahead of planning, the fields that the stages need of each event.
struct Needed {
    outputs: Vec<Output>,
    /// Shown where no stage makes columns of its own.
    shown: Vec<String>,
}

impl Needed {
    fn of(stages: &[Stage], stretch_seconds: u64) -> Self {
        let mut needed = Self { outputs: vec![Output::time(ORDER)], shown: Vec::new() };
        let mut renamed: Vec<(&str, &str)> = Vec::new();
        let mut made_columns = false;
        for stage in stages {
            let mut add = |name: &FieldName| {
                if !renamed.iter().any(|(_, to)| *to == name.name) {
                    needed.add(Output::named(&name.name));
                }
            };
            match stage {
                Stage::Stats(aggregates, by) => {
                    aggregates.iter().filter_map(|aggregate| aggregate.field.as_ref()).for_each(&mut add);
                    by.iter().for_each(add);
                    made_columns = true;
                }
                Stage::Top { field, by, .. } => {
                    add(field);
                    by.iter().for_each(add);
                    made_columns = true;
                }
                Stage::Timechart { aggregate, by, .. } => {
                    aggregate.field.iter().chain(by).for_each(add);
                    needed.outputs.retain(|output| output.name != "time");
                    needed.add(Output::stretch("time", stretch_seconds));
                    made_columns = true;
                }
                Stage::Sort(keys) => keys.iter().for_each(|(name, _)| add(name)),
                Stage::Fields(names, false) => {
                    names.iter().for_each(add);
                    if needed.shown.is_empty() {
                        // What a stage before has renamed is shown by its first name, to be renamed there.
                        let first = |name: &FieldName| -> String {
                            let earlier = renamed.iter().find(|(_, to)| *to == name.name);
                            earlier.map_or_else(|| name.name.clone(), |(from, _)| (*from).to_owned())
                        };
                        needed.shown = names.iter().map(first).collect();
                    }
                }
                Stage::Fields(_, true) | Stage::Head(_) => {}
                Stage::Dedup(names) => names.iter().for_each(add),
                Stage::Where(condition) => in_condition(condition, &mut add),
                Stage::Rename(pairs) => {
                    pairs.iter().for_each(|(from, _)| add(from));
                    renamed.extend(pairs.iter().map(|(from, to)| (from.name.as_str(), to.as_str())));
                }
            }
            if made_columns {
                break;
            }
        }
        if !made_columns && needed.shown.is_empty() {
            SHOWN.iter().for_each(|name| needed.add(Output::named(name)));
            let mentioned = needed.outputs.iter().map(|output| output.name.clone());
            let mut shown: Vec<String> = SHOWN.iter().map(|name| (*name).to_owned()).collect();
            for name in mentioned {
                if name != ORDER && !shown.contains(&name) {
                    shown.push(name);
                }
            }
            needed.shown = shown;
        }
        needed
    }

    fn add(&mut self, output: Output) {
        if !self.outputs.iter().any(|have| have.name == output.name) {
            self.outputs.push(output);
        }
    }
}

fn in_condition<'a>(condition: &'a Condition, each: &mut dyn FnMut(&'a FieldName)) {
    match condition {
        Condition::And(list) | Condition::Or(list) => list.iter().for_each(|inner| in_condition(inner, each)),
        Condition::Not(inner) => in_condition(inner, each),
        Condition::Compare(name, ..) => each(name),
    }
}

/// Plans the query's stages over the events that its filter, already in `source`, lets through.
pub(super) fn plan(
    query: &Query,
    source: Source,
    context: &SessionContext,
    mebibytes: usize,
) -> Result<DataFrame, SearchError> {
    let span = query.stages.iter().find_map(|stage| match stage {
        Stage::Timechart { span, .. } => Some(*span),
        _ => None,
    });
    let seconds = span.flatten().unwrap_or_else(|| step_for(source.to.saturating_sub(source.from), 100));
    let needed = Needed::of(&query.stages, seconds);
    let sources =
        needed.outputs.iter().filter(|output| output.is_source()).map(|output| output.name.clone()).collect();
    let failed = |error| super::table::search_error(error, mebibytes);
    let table = EventsTable::new(source, needed.outputs);
    let frame = context.read_table(std::sync::Arc::new(table)).map_err(failed)?;
    let mut plan = Plan { frame, shown: needed.shown, events: true, ordered: false, sources };
    for (at, stage) in query.stages.iter().enumerate() {
        plan = plan.stage(stage, query.stages.get(at + 1)).map_err(|failure| match failure {
            Failure::Query(error) => SearchError::Query(error),
            Failure::Plan(error) => failed(*error),
        })?;
    }
    plan.finish().map_err(failed)
}

enum Failure {
    Query(QueryError),
    Plan(Box<datafusion::error::DataFusionError>),
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        Self::Query(error)
    }
}

impl From<datafusion::error::DataFusionError> for Failure {
    fn from(error: datafusion::error::DataFusionError) -> Self {
        Self::Plan(Box::new(error))
    }
}

fn named(name: &str) -> Expr {
    Expr::Column(PlanColumn::from_name(name))
}

fn as_number(expr: Expr) -> Expr {
    try_cast(expr, DataType::Float64)
}

struct Plan {
    frame: DataFrame,
    /// The columns to show, in order.
    shown: Vec<String>,
    /// Whether a row is still an event.
    events: bool,
    /// Whether a stage has ordered the rows.
    ordered: bool,
    /// Columns of the sources' own fields, whose text may be a number.
    sources: Vec<String>,
}

impl Plan {
    /// The column of a name, as far as there is one.
    fn column(&self, name: &FieldName) -> Result<Expr, QueryError> {
        if self.frame.schema().has_column(&PlanColumn::from_name(&name.name)) {
            return Ok(named(&name.name));
        }
        let names = || self.shown.iter().map(String::as_str);
        let error = QueryError::new(name.at, format!("there is no column {} here", name.name));
        Err(match super::language::nearest(&name.name, names()) {
            Some(near) => error.suggest(format!("did you mean {near}?")),
            None => error.suggest(format!("one of {}", names().collect::<Vec<_>>().join(", "))),
        })
    }

    fn data_type(&self, name: &str) -> DataType {
        self.frame
            .schema()
            .field_with_unqualified_name(name)
            .map_or(DataType::Null, |field| field.data_type().clone())
    }

    fn is_text(&self, name: &str) -> bool {
        matches!(self.data_type(name), DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8)
    }

    fn stage(mut self, stage: &Stage, next: Option<&Stage>) -> Result<Self, Failure> {
        match stage {
            Stage::Stats(aggregates, by) => {
                self = self.aggregate(aggregates, by)?;
                if !by.is_empty() && !matches!(next, Some(Stage::Sort(_))) {
                    let keys = by.iter().map(|name| named(&name.name).sort(true, false)).collect();
                    self.frame = self.frame.sort(keys)?;
                }
                Ok(self)
            }
            Stage::Top { count, field, by, rare } => self.top(*count, field, by, *rare),
            Stage::Timechart { aggregate, by, .. } => {
                let mut groups = vec![FieldName::new("time")];
                groups.extend(by.clone());
                self = self.aggregate(std::slice::from_ref(aggregate), &groups)?;
                let keys = groups.iter().map(|name| named(&name.name).sort(true, false)).collect();
                self.frame = self.frame.sort(keys)?;
                Ok(self)
            }
            Stage::Sort(keys) => {
                let mut sorts = Vec::new();
                for (name, descending) in keys {
                    let column = self.column(name)?;
                    // Text that is a number sorts as one, before other text.
                    if self.is_text(&name.name) {
                        sorts.push(as_number(column.clone()).sort(!descending, false));
                    }
                    sorts.push(column.sort(!descending, false));
                }
                self.frame = self.frame.sort(sorts)?;
                self.ordered = true;
                Ok(self)
            }
            Stage::Fields(names, drop) => {
                for name in names {
                    self.column(name)?;
                }
                let listed = |column: &String| names.iter().any(|name| name.name == *column);
                self.shown = if *drop {
                    self.shown.into_iter().filter(|column| !listed(column)).collect()
                } else {
                    names.iter().map(|name| name.name.clone()).collect()
                };
                Ok(self)
            }
            Stage::Dedup(names) => self.dedup(names),
            Stage::Where(condition) => {
                let condition = self.condition(condition)?;
                self.frame = self.frame.filter(condition)?;
                Ok(self)
            }
            Stage::Head(count) => {
                self = self.in_order()?;
                self.frame = self.frame.limit(0, Some(*count))?;
                Ok(self)
            }
            Stage::Rename(pairs) => self.rename(pairs),
        }
    }

    /// Events are newest first unless a stage has ordered them.
    fn in_order(mut self) -> Result<Self, Failure> {
        if self.events && !self.ordered {
            self.frame = self.frame.sort(vec![named(ORDER).sort(false, false)])?;
            self.ordered = true;
        }
        Ok(self)
    }

    fn aggregate(mut self, aggregates: &[Aggregate], by: &[FieldName]) -> Result<Self, Failure> {
        let mut groups = Vec::new();
        for name in by {
            groups.push(self.column(name)?);
        }
        let mut columns: Vec<String> = by.iter().map(|name| name.name.clone()).collect();
        let mut computed = Vec::new();
        let mut joined = Vec::new();
        for aggregate in aggregates {
            let name = aggregate.column();
            if columns.contains(&name) {
                let at = aggregate.field.as_ref().map_or(0, |field| field.at);
                return Err(QueryError::new(at, format!("there are two columns {name}"))
                    .suggest("name one with as")
                    .into());
            }
            if aggregate.function == Function::Values {
                joined.push(name.clone());
            }
            computed.push(self.function(aggregate)?.alias(&name));
            columns.push(name);
        }
        self.frame = self.frame.aggregate(groups, computed)?;
        if !joined.is_empty() {
            let select = columns.iter().map(|name| {
                if joined.contains(name) {
                    let some = array_slice(
                        array_sort(named(name), lit("ASC"), lit("NULLS LAST")),
                        lit(1i64),
                        lit(MAX_VALUES),
                        None,
                    );
                    array_to_string(some, lit(", ")).alias(name)
                } else {
                    named(name)
                }
            });
            self.frame = self.frame.select(select.collect::<Vec<_>>())?;
        }
        self.shown = columns;
        self.events = false;
        self.sources.retain(|name| by.iter().any(|field| field.name == *name));
        Ok(self)
    }

    fn function(&self, aggregate: &Aggregate) -> Result<Expr, Failure> {
        let Some(field) = &aggregate.field else { return Ok(count(lit(1i64))) };
        let column = self.column(field)?;
        let text = self.is_text(&field.name);
        let number = if text { as_number(column.clone()) } else { column.clone() };
        // The least of a source's own field is that of numbers: its text says nothing of order.
        let ordered = if self.sources.contains(&field.name) { number.clone() } else { column.clone() };
        Ok(match aggregate.function {
            Function::Count => count(column),
            Function::Distinct => count_distinct(column),
            Function::Sum => sum(number),
            Function::Avg => avg(as_number(column)),
            Function::Min => min(ordered),
            Function::Max => max(ordered),
            Function::Percentile(percent) => {
                let least_first = Sort::new(as_number(column), true, false);
                approx_percentile_cont(least_first, lit(f64::from(percent) / 100.0), None)
            }
            Function::Values => {
                let text = try_cast(column.clone(), DataType::Utf8);
                array_agg(text).distinct().filter(column.is_not_null()).build()?
            }
        })
    }

    fn top(mut self, most: usize, field: &FieldName, by: &[FieldName], rare: bool) -> Result<Self, Failure> {
        let mut groups = Vec::new();
        for name in by {
            groups.push(self.column(name)?);
        }
        let column = self.column(field)?;
        groups.push(column.clone());
        let within: Vec<Expr> = by.iter().map(|name| named(&name.name)).collect();
        let rank = vec![named("count").sort(rare, false), named(&field.name).sort(true, false)];
        let all =
            Expr::from(WindowFunction::new(sum_udaf(), vec![named("count")])).partition_by(within.clone());
        let number = row_number().partition_by(within.clone()).order_by(rank.clone()).build()?;
        let frame = self.frame.filter(column.is_not_null())?;
        let frame = frame.aggregate(groups, vec![count(lit(1i64)).alias("count")])?;
        let frame =
            frame.window(vec![number.alias("\u{1}rank")])?.window(vec![all.build()?.alias("\u{1}all")])?;
        let frame = frame.filter(named("\u{1}rank").lt_eq(lit(most as u64)))?;
        let mut select: Vec<Expr> = within.clone();
        select.push(named(&field.name));
        select.push(named("count"));
        let hundredths = as_number(named("count")) * lit(10_000.0) / as_number(named("\u{1}all"));
        let percent = as_number(try_cast(hundredths + lit(0.5), DataType::Int64)) / lit(100.0);
        select.push(percent.alias("percent"));
        let mut keys: Vec<_> = within.iter().map(|name| name.clone().sort(true, false)).collect();
        keys.extend(rank);
        self.frame = frame.sort(keys)?.select(select)?;
        self.shown = by.iter().map(|name| name.name.clone()).collect();
        self.shown.extend([field.name.clone(), "count".to_owned(), "percent".to_owned()]);
        self.events = false;
        Ok(self)
    }

    fn dedup(mut self, names: &[FieldName]) -> Result<Self, Failure> {
        let mut partition = Vec::new();
        for name in names {
            partition.push(self.column(name)?);
        }
        let order = if self.events {
            named(ORDER).sort(false, false)
        } else {
            partition[0].clone().sort(true, false)
        };
        let number = row_number().partition_by(partition).order_by(vec![order]).build()?;
        let frame = self.frame.window(vec![number.alias("\u{1}nth")])?;
        let frame = frame.filter(named("\u{1}nth").eq(lit(1u64)))?;
        self.frame = frame.drop_columns(&["\u{1}nth"])?;
        self.ordered = false;
        Ok(self)
    }

    fn rename(mut self, pairs: &[(FieldName, String)]) -> Result<Self, Failure> {
        for (from, to) in pairs {
            self.column(from)?;
            if self.shown.contains(to) && *to != from.name {
                return Err(QueryError::new(from.at, format!("there is a column {to} already")).into());
            }
        }
        let new_name = |name: &str| {
            pairs
                .iter()
                .find(|(from, _)| from.name == name)
                .map_or_else(|| name.to_owned(), |(_, to)| to.clone())
        };
        let names: Vec<String> =
            self.frame.schema().fields().iter().map(|field| field.name().clone()).collect();
        let taken = |name: &String| pairs.iter().any(|(from, to)| to == name && from.name != *name);
        let select = names.iter().filter(|name| !taken(name)).map(|name| named(name).alias(new_name(name)));
        self.frame = self.frame.select(select.collect::<Vec<_>>())?;
        self.shown = self.shown.iter().map(|name| new_name(name)).collect();
        Ok(self)
    }

    fn condition(&self, condition: &Condition) -> Result<Expr, Failure> {
        let list = |conditions: &[Condition], join: fn(Expr, Expr) -> Expr| -> Result<Expr, Failure> {
            let mut all: Option<Expr> = None;
            for condition in conditions {
                let next = self.condition(condition)?;
                all = Some(match all {
                    Some(before) => join(before, next),
                    None => next,
                });
            }
            Ok(all.unwrap_or_else(|| lit(true)))
        };
        Ok(match condition {
            Condition::And(conditions) => list(conditions, Expr::and)?,
            Condition::Or(conditions) => list(conditions, Expr::or)?,
            // What has no value does not pass, so it passes the opposite.
            Condition::Not(inner) => self.condition(inner)?.is_not_true(),
            Condition::Compare(name, comparison, value) => self.compare(name, *comparison, value)?,
        })
    }

    fn compare(&self, name: &FieldName, comparison: Comparison, value: &str) -> Result<Expr, Failure> {
        let column = self.column(name)?;
        let number = value.parse::<f64>().ok().filter(|number| number.is_finite());
        let (left, right) = match self.data_type(&name.name) {
            DataType::Timestamp(..) => {
                let time = Time::parse(value)
                    .or_else(|| Time::parse(&format!("{value}T00:00:00Z")))
                    .ok_or_else(|| {
                        QueryError::new(name.at, format!("{value} is not a time"))
                            .suggest("write it as 2026-11-24T15:04:05Z")
                    })?;
                (column, lit(ScalarValue::TimestampMicrosecond(Some(time.micros()), Some("UTC".into()))))
            }
            _ if !self.is_text(&name.name) => match number {
                Some(number) => (as_number(column), lit(number)),
                None => {
                    return Err(QueryError::new(
                        name.at,
                        format!("{} is a number, and {value} is none", name.name),
                    )
                    .into());
                }
            },
            _ => match (number, comparison) {
                (
                    Some(number),
                    Comparison::Less
                    | Comparison::LessOrEqual
                    | Comparison::Greater
                    | Comparison::GreaterOrEqual,
                ) => (as_number(column), lit(number)),
                _ => (lower(column), lit(value.to_lowercase())),
            },
        };
        Ok(match comparison {
            Comparison::Equal => left.eq(right),
            Comparison::NotEqual => left.eq(right).is_not_true(),
            Comparison::Less => left.lt(right),
            Comparison::LessOrEqual => left.lt_eq(right),
            Comparison::Greater => left.gt(right),
            Comparison::GreaterOrEqual => left.gt_eq(right),
        })
    }

    fn finish(self) -> Result<DataFrame, datafusion::error::DataFusionError> {
        let plan = match self.in_order() {
            Ok(plan) => plan,
            Err(Failure::Plan(error)) => return Err(*error),
            Err(Failure::Query(error)) => {
                return Err(datafusion::error::DataFusionError::Plan(error.to_string()));
            }
        };
        plan.frame.select(plan.shown.iter().map(|name| named(name)).collect::<Vec<_>>())
    }
}
