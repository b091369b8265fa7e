//! Well-known JSON shapes: how each is recognised, which of Sigma's log sources it is, which OCSF
//! columns its members fill, and the second names under which Sigma's rules look for them.
//!
//! One entry of [`SHAPES`] per shape; what a table cannot say is a function beside it.

mod cloud;
mod endpoint;
mod network;

use covigil_model::{Attr, Class, Event, Field, Kind, Span, Status};

/// One shape.
pub(super) struct Shape {
    /// Members that it has, all of them.
    marks: &'static [&'static str],
    /// Sigma's product.
    product: &'static str,
    /// Sigma's services.
    services: &'static [&'static str],
    /// Sigma's categories.
    categories: &'static [&'static str],
    /// OCSF's class and activity.
    class: (Class, u8),
    /// Which members fill which columns.
    columns: &'static [(&'static str, Attr)],
    /// Members and their second names.
    aliases: &'static [(&'static str, &'static str)],
    /// What else there is to do; `false` where it is not this shape after all.
    finish: fn(&mut Event) -> bool,
}

impl Shape {
    /// A shape that has nothing but marks; entries fill in the rest.
    const fn of(marks: &'static [&'static str], product: &'static str) -> Self {
        Self {
            marks,
            product,
            services: &[],
            categories: &[],
            class: (Class::BASE, 0),
            columns: &[],
            aliases: &[],
            finish: |_| true,
        }
    }
}

/// Recognises the event's shape and applies what is known of it. The first shape that fits wins.
pub(super) fn apply(event: &mut Event) {
    for shape in cloud::SHAPES.iter().chain(network::SHAPES).chain(endpoint::SHAPES) {
        let found = shape.marks.iter().all(|mark| loosely(event, mark).is_some());
        if found && fit(shape, event) {
            return;
        }
    }
}

/// The first member of that name, whatever its case: some exporters write all names in lower case.
fn loosely(event: &Event, name: &str) -> Option<Field> {
    event
        .fields()
        .iter()
        .find(|f| f.name.len() == name.len() && event.slice(f.name).eq_ignore_ascii_case(name))
        .copied()
}

fn fit(shape: &Shape, event: &mut Event) -> bool {
    if shape.marks.iter().any(|mark| event.find(mark).is_none()) {
        restore_case(shape, event);
    }
    event.log_source.set(shape.product, shape.services, shape.categories);
    (event.class, event.activity) = shape.class;
    for (from, to) in shape.aliases {
        alias(event, from, to);
    }
    if !(shape.finish)(event) {
        event.log_source.clear();
        (event.class, event.activity, event.status) = (Class::BASE, 0, Status::Unknown);
        return false;
    }
    for (name, attr) in shape.columns {
        column(event, name, *attr);
    }
    true
}

/// Gives the members that the shape knows their right names beside the ones in another case.
fn restore_case(shape: &Shape, event: &mut Event) {
    let columns = shape.columns.iter().map(|(name, _)| *name);
    let aliases = shape.aliases.iter().map(|(name, _)| *name);
    for right in shape.marks.iter().copied().chain(columns).chain(aliases) {
        if event.find(right).is_none()
            && let Some(field) = loosely(event, right)
        {
            let wrong = event.slice(field.name).to_owned();
            alias(event, &wrong, right);
        }
    }
}

/// The value of a member; `None` where it is missing, null or empty.
fn value(event: &Event, name: &str) -> Option<Span> {
    event.find(name).filter(|f| f.kind != Kind::Null && !f.value.is_empty()).map(|f| f.value)
}

/// The text of a member; empty where it is missing.
fn text<'a>(event: &'a Event, name: &str) -> &'a str {
    event.field(name).map_or("", |v| v.text)
}

fn column(event: &mut Event, name: &str, attr: Attr) {
    if let Some(span) = value(event, name)
        && event.slice(span) != "-"
    {
        event.set_attr(attr, span);
    }
}

/// A second name for all values of a member.
fn alias(event: &mut Event, from: &str, to: &str) {
    for index in 0..event.fields().len() {
        let field = event.fields()[index];
        if event.slice(field.name) == from && field.kind != Kind::Null {
            let name = event.append(to);
            event.push_field(name, field.value, field.kind);
        }
    }
}

/// Second names for all members below `prefix`: the rest of their path behind `to`.
fn alias_below(event: &mut Event, prefix: &str, to: &str) {
    for index in 0..event.fields().len() {
        let field = event.fields()[index];
        if let Some(rest) = event.slice(field.name).strip_prefix(prefix) {
            let name = if to.is_empty() {
                let start = field.name.end() - rest.len();
                event.span(start, field.name.end())
            } else {
                let name = format!("{to}{rest}");
                event.append(&name)
            };
            event.push_field(name, field.value, field.kind);
        }
    }
}

/// Success or failure by whether a member is missing.
fn status_by_error(event: &mut Event, error: &str) {
    event.status = if value(event, error).is_some() { Status::Failure } else { Status::Success };
}
