//! Between the console's words for alerts and entities and the store's.

use covigil_console::backend as page;
use covigil_store::state as kept;

pub fn filter(f: &page::AlertFilter) -> kept::AlertFilter {
    kept::AlertFilter {
        states: f.states.clone(),
        dispositions: f.dispositions.clone(),
        severities: f.severities.clone(),
        assigned: f
            .assigned
            .iter()
            .map(|assigned| match assigned {
                page::Assigned::Nobody => kept::Assigned::Nobody,
                page::Assigned::To(user) => kept::Assigned::To(*user),
            })
            .collect(),
        rules: f.rules.clone(),
        techniques: f.techniques.clone(),
        tactics: Vec::new(),
        solutions: f.solutions.clone(),
        entities: f.entities.clone(),
        text: f.text.clone(),
        since: f.since,
        until: f.until,
    }
}

pub fn query(q: &page::AlertQuery) -> kept::AlertQuery {
    kept::AlertQuery {
        filter: filter(&q.filter),
        sort: match q.sort {
            page::AlertSort::Newest => kept::AlertSort::Newest,
            page::AlertSort::Oldest => kept::AlertSort::Oldest,
            page::AlertSort::Severity => kept::AlertSort::Severity,
            page::AlertSort::Risk => kept::AlertSort::Risk,
            page::AlertSort::LastSeen => kept::AlertSort::LastSeen,
            page::AlertSort::Count => kept::AlertSort::Count,
        },
        after: q.after.clone(),
        limit: q.limit,
    }
}

pub fn target(t: &page::AlertTarget) -> kept::AlertTarget {
    match t {
        page::AlertTarget::Ids(ids) => kept::AlertTarget::Ids(ids.clone()),
        page::AlertTarget::Query { filter: f, expected } => {
            kept::AlertTarget::Query { filter: filter(f), expected: *expected }
        }
    }
}

pub fn change(c: &page::AlertChange) -> kept::AlertChange {
    kept::AlertChange {
        state: c.state,
        disposition: c.disposition,
        assignee: c.assignee,
        note: c.note.clone(),
    }
}

/// What the queue page counts by.
pub const FACETS: [kept::AlertField; 8] = [
    kept::AlertField::State,
    kept::AlertField::Severity,
    kept::AlertField::Assignee,
    kept::AlertField::Rule,
    kept::AlertField::Technique,
    kept::AlertField::Host,
    kept::AlertField::User,
    kept::AlertField::Address,
];

pub fn facets(found: Vec<kept::AlertFacet>) -> Vec<page::AlertFacet> {
    let mut facets: Vec<page::AlertFacet> = Vec::new();
    let mut entities: Vec<page::FacetCount> = Vec::new();
    for facet in found {
        let count = |value: kept::FacetCount, prefix: &str| page::FacetCount {
            value: format!("{prefix}{}", value.value),
            label: value.label,
            count: value.count,
        };
        let (field, prefix) = match facet.field {
            kept::AlertField::State => (page::AlertField::State, ""),
            kept::AlertField::Severity => (page::AlertField::Severity, ""),
            kept::AlertField::Assignee => (page::AlertField::Assignee, ""),
            kept::AlertField::Rule => (page::AlertField::Rule, ""),
            kept::AlertField::Technique => (page::AlertField::Technique, ""),
            kept::AlertField::Host => (page::AlertField::Entity, "host:"),
            kept::AlertField::User => (page::AlertField::Entity, "user:"),
            kept::AlertField::Address => (page::AlertField::Entity, "address:"),
            _ => continue,
        };
        let values = facet.values.into_iter().map(|value| count(value, prefix));
        if field == page::AlertField::Entity {
            entities.extend(values);
        } else {
            facets.push(page::AlertFacet { field, values: values.collect() });
        }
    }
    entities.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
    entities.truncate(12);
    facets.push(page::AlertFacet { field: page::AlertField::Entity, values: entities });
    let place = |field| page::AlertField::ALL.iter().position(|have| *have == field);
    facets.sort_by_key(|facet| place(facet.field));
    facets
}

pub const fn criticality(c: kept::Criticality) -> page::Criticality {
    match c {
        kept::Criticality::Low => page::Criticality::Low,
        kept::Criticality::Normal => page::Criticality::Normal,
        kept::Criticality::High => page::Criticality::High,
        kept::Criticality::Critical => page::Criticality::Critical,
    }
}

pub const fn criticality_kept(c: page::Criticality) -> kept::Criticality {
    match c {
        page::Criticality::Low => kept::Criticality::Low,
        page::Criticality::Normal => kept::Criticality::Normal,
        page::Criticality::High => kept::Criticality::High,
        page::Criticality::Critical => kept::Criticality::Critical,
    }
}

pub fn entity(context: kept::EntityContext) -> page::EntityContext {
    page::EntityContext {
        entity: context.entity,
        criticality: criticality(context.criticality),
        remark: context.remark,
        edited: context.edited,
        open_alerts: context.open_alerts,
        alerts: context.alerts,
        first_seen: context.first_seen,
        last_seen: context.last_seen,
    }
}

pub fn user(user: kept::User) -> page::User {
    page::User {
        id: user.id,
        name: user.name,
        role: user.role,
        party: user.party,
        disabled: user.disabled,
        created: user.created,
        last_sign_in: user.last_sign_in,
        read_until: user.read_until,
    }
}

pub fn link(link: kept::SignInLink) -> page::SignInLink {
    page::SignInLink { hash: page::TokenHash(link.hash.0), user: link.user, expires: link.expires }
}

pub const fn hash(hash: page::TokenHash) -> kept::TokenHash {
    kept::TokenHash(hash.0)
}

pub fn session(session: kept::Session) -> page::Session {
    page::Session {
        id: session.id,
        hash: page::TokenHash(session.hash.0),
        user: session.user,
        method: session.method,
        created: session.created,
        last_seen: session.last_seen,
        expires: session.expires,
        peer: session.peer,
    }
}

pub fn token(token: kept::ApiToken) -> Option<page::ApiToken> {
    Some(page::ApiToken {
        id: token.id,
        name: token.name,
        scope: page::ApiScope::from_word(&token.scope)?,
        created_by: token.created_by,
        created: token.created,
        last_used: token.last_used,
        expires: token.expires,
    })
}
