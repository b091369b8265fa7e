//! What a text says, gathered while the event that owns the text is borrowed, and written into the
//! event afterwards. Parts of the text are kept as places, so that nothing is copied.

use covigil_model::{Attr, Class, Event, Kind, Severity, Span, Status, Time};

/// Field names per event at most, however many a text claims to have.
const MAX_FIELDS: usize = 512;

/// A stretch of the event's text, by bytes.
#[derive(Debug, Clone, Copy)]
struct Place {
    start: usize,
    end: usize,
}

#[derive(Debug, Clone, Copy)]
enum Part {
    Fixed(&'static str),
    Text(Place),
    /// An entry of `Draft::made`.
    Made(usize),
}

/// The gathered facts.
#[derive(Debug)]
pub(crate) struct Draft {
    base: usize,
    fields: Vec<(Part, Part, Kind)>,
    columns: Vec<(Attr, Part)>,
    made: Vec<String>,
    time: Option<Time>,
    services: Vec<&'static str>,
    categories: Vec<&'static str>,
    product: Option<&'static str>,
    class: Option<(Class, u8)>,
    status: Option<Status>,
    severity: Option<Severity>,
}

impl Draft {
    /// A draft for texts that are parts of `event`'s text, as long as nothing is appended to it.
    pub fn of(event: &Event) -> Self {
        Self {
            base: event.text().as_ptr() as usize,
            fields: Vec::with_capacity(16),
            columns: Vec::with_capacity(16),
            made: Vec::new(),
            time: None,
            services: Vec::new(),
            categories: Vec::new(),
            product: None,
            class: None,
            status: None,
            severity: None,
        }
    }

    /// The place of a part of the text, which is the distance of the two addresses. A text from
    /// elsewhere gives a place outside, which is written as nothing.
    fn place(&self, part: &str) -> Place {
        let start = (part.as_ptr() as usize).wrapping_sub(self.base);
        Place { start, end: start.wrapping_add(part.len()) }
    }

    /// A field whose value is a part of the text.
    pub fn field(&mut self, name: &'static str, value: &str) {
        let value = Part::Text(self.place(value));
        self.push(Part::Fixed(name), value, Kind::Text);
    }

    /// A field, and the column that holds the same value. An empty value or a dash fills no column.
    pub fn both(&mut self, name: &'static str, value: &str, attr: Attr) {
        self.field(name, value);
        self.column(attr, value);
    }

    /// A field whose name and value are parts of the text.
    pub fn pair(&mut self, name: &str, value: &str) {
        let (name, value) = (Part::Text(self.place(name)), Part::Text(self.place(value)));
        self.push(name, value, Kind::Text);
    }

    /// A field with a value of ours.
    pub fn word(&mut self, name: &'static str, value: &'static str) {
        self.push(Part::Fixed(name), Part::Fixed(value), Kind::Text);
    }

    /// A field whose value does not stand in the text as it is, such as a decoded one.
    pub fn made(&mut self, name: &'static str, value: String, attr: Option<Attr>) {
        let part = Part::Made(self.made.len());
        self.push(Part::Fixed(name), part, Kind::Text);
        if let Some(attr) = attr
            && !value.is_empty()
        {
            self.columns.push((attr, part));
        }
        self.made.push(value);
    }

    /// A field named by a part of the text, whose value does not stand in it.
    pub fn made_pair(&mut self, name: &str, value: String) {
        let part = Part::Made(self.made.len());
        let name = Part::Text(self.place(name));
        self.push(name, part, Kind::Text);
        self.made.push(value);
    }

    /// A number, as a part of the text, and its column.
    pub fn number(&mut self, name: &'static str, value: &str, attr: Attr) {
        let part = Part::Text(self.place(value));
        self.push(Part::Fixed(name), part, Kind::Number);
        self.column(attr, value);
    }

    /// When it happened, where the message says so.
    pub fn time(&mut self, time: Time) {
        self.time = Some(time);
    }

    /// The act, in one of the words of the family's README, as field `action`.
    pub fn action(&mut self, action: &'static str) {
        self.word("action", action);
    }

    /// A column. An empty value or a dash fills none.
    pub fn column(&mut self, attr: Attr, value: &str) {
        if !matches!(value, "" | "-") {
            self.columns.push((attr, Part::Text(self.place(value))));
        }
    }

    /// A column with a value of ours.
    pub fn column_word(&mut self, attr: Attr, value: &'static str) {
        self.columns.push((attr, Part::Fixed(value)));
    }

    /// The OCSF class and activity.
    pub fn class(&mut self, class: Class, activity: u8) {
        self.class = Some((class, activity));
    }

    /// How it ended.
    pub fn status(&mut self, status: Status) {
        self.status = Some(status);
    }

    /// How bad the source thinks it is; the worst that was said stays.
    pub fn severity(&mut self, severity: Severity) {
        self.severity = self.severity.max(Some(severity));
    }

    /// Adds a Sigma service label.
    pub fn service(&mut self, service: &'static str) {
        if !service.is_empty() && !self.services.contains(&service) {
            self.services.push(service);
        }
    }

    /// Adds a Sigma category label.
    pub fn category(&mut self, category: &'static str) {
        if !self.categories.contains(&category) {
            self.categories.push(category);
        }
    }

    /// The Sigma product, in place of `linux`.
    pub fn product(&mut self, product: &'static str) {
        self.product = Some(product);
    }

    fn push(&mut self, name: Part, value: Part, kind: Kind) {
        if self.fields.len() < MAX_FIELDS {
            self.fields.push((name, value, kind));
        }
    }

    /// Writes everything into the event, whose text is still the one of [`Draft::of`].
    pub fn write(self, event: &mut Event) {
        for (name, value, kind) in &self.fields {
            let name = span(event, *name, &self.made);
            let value = span(event, *value, &self.made);
            event.push_field(name, value, *kind);
        }
        for (attr, value) in &self.columns {
            let value = span(event, *value, &self.made);
            event.set_attr(*attr, value);
        }
        if let Some(time) = self.time {
            event.time = time;
        }
        let product = self.product.unwrap_or("linux");
        event.log_source.set(product, &self.services, &self.categories);
        if let Some((class, activity)) = self.class {
            event.class = class;
            event.activity = activity;
        }
        if let Some(status) = self.status {
            event.status = status;
        }
        if let Some(severity) = self.severity {
            event.severity = severity;
        }
    }
}

fn span(event: &mut Event, part: Part, made: &[String]) -> Span {
    match part {
        Part::Made(index) => event.append(made.get(index).map_or("", String::as_str)),
        Part::Fixed(text) => event.append(text),
        Part::Text(place) => event.span(place.start, place.end),
    }
}
