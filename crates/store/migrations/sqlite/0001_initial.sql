-- Times are nanoseconds since 1970-01-01 UTC; ids are 32 hexadecimal digits; flags are 0 or 1.

CREATE TABLE rules (
    tenant TEXT NOT NULL,
    digest TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (tenant, digest)
);

CREATE TABLE alerts (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    rule_digest TEXT NOT NULL,
    rule_id TEXT NOT NULL,
    rule_title TEXT NOT NULL,
    solution TEXT NOT NULL,
    severity INTEGER NOT NULL,
    risk INTEGER NOT NULL,
    group_key TEXT NOT NULL,
    summary TEXT,
    entities TEXT NOT NULL,
    search TEXT NOT NULL,
    count INTEGER NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    raised INTEGER NOT NULL,
    state TEXT NOT NULL,
    open INTEGER NOT NULL,
    disposition TEXT,
    assignee TEXT,
    changed INTEGER NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX alerts_group ON alerts (tenant, open, group_key, last_seen);
CREATE INDEX alerts_raised ON alerts (tenant, open, raised, id);
CREATE INDEX alerts_severity ON alerts (tenant, open, severity, raised, id);
CREATE INDEX alerts_risk ON alerts (tenant, open, risk, raised, id);
CREATE INDEX alerts_last_seen ON alerts (tenant, open, last_seen, id);
CREATE INDEX alerts_facets ON alerts (tenant, open, state, severity, assignee);
CREATE INDEX alerts_rule ON alerts (tenant, open, rule_id, rule_title);
CREATE INDEX alerts_changed ON alerts (tenant, changed);
CREATE INDEX alerts_all_raised ON alerts (tenant, raised, id);

-- The values by which alerts are found and counted: entities, techniques, tactics.
CREATE TABLE alert_values (
    tenant TEXT NOT NULL,
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    alert TEXT NOT NULL,
    open INTEGER NOT NULL,
    PRIMARY KEY (tenant, kind, value, alert)
);
CREATE INDEX alert_values_alert ON alert_values (tenant, alert);
CREATE INDEX alert_values_open ON alert_values (tenant, open, kind, value);

CREATE TABLE findings (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    alert TEXT NOT NULL,
    time INTEGER NOT NULL,
    rule_digest TEXT NOT NULL,
    body TEXT,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX findings_alert ON findings (tenant, alert, time);

CREATE TABLE alert_notes (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    alert TEXT NOT NULL,
    time INTEGER NOT NULL,
    author TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX alert_notes_alert ON alert_notes (tenant, alert, time);

CREATE TABLE alert_history (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant TEXT NOT NULL,
    alert TEXT NOT NULL,
    time INTEGER NOT NULL,
    actor TEXT NOT NULL,
    what TEXT NOT NULL
);
CREATE INDEX alert_history_alert ON alert_history (tenant, alert, seq);

CREATE TABLE entities (
    tenant TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    criticality TEXT NOT NULL,
    owner TEXT NOT NULL,
    remark TEXT NOT NULL,
    tags TEXT NOT NULL,
    edited_by TEXT NOT NULL,
    edited INTEGER NOT NULL,
    PRIMARY KEY (tenant, kind, name)
);

CREATE TABLE users (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    role TEXT NOT NULL,
    party TEXT NOT NULL,
    disabled INTEGER NOT NULL,
    created INTEGER NOT NULL,
    last_sign_in INTEGER,
    read_until INTEGER,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, name_key)
);

CREATE TABLE sign_in_links (
    tenant TEXT NOT NULL,
    hash TEXT NOT NULL,
    user_id TEXT NOT NULL,
    expires INTEGER NOT NULL,
    PRIMARY KEY (tenant, hash),
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, id)
);

CREATE TABLE passkeys (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    label TEXT NOT NULL,
    data TEXT NOT NULL,
    created INTEGER NOT NULL,
    last_used INTEGER,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, id)
);

CREATE TABLE passwords (
    tenant TEXT NOT NULL,
    user_id TEXT NOT NULL,
    hash TEXT NOT NULL,
    totp_sealed BLOB NOT NULL,
    last_step INTEGER NOT NULL,
    created INTEGER NOT NULL,
    PRIMARY KEY (tenant, user_id),
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, id)
);

CREATE TABLE sessions (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    hash TEXT NOT NULL,
    user_id TEXT NOT NULL,
    method TEXT NOT NULL,
    created INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    peer TEXT,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, hash),
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, id)
);
CREATE INDEX sessions_user ON sessions (tenant, user_id);

CREATE TABLE api_tokens (
    tenant TEXT NOT NULL,
    hash TEXT NOT NULL,
    name TEXT NOT NULL,
    scope TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created INTEGER NOT NULL,
    last_used INTEGER,
    expires INTEGER,
    PRIMARY KEY (tenant, hash)
);

CREATE TABLE documents (
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    body TEXT NOT NULL,
    author TEXT NOT NULL,
    time INTEGER NOT NULL,
    comment TEXT NOT NULL,
    PRIMARY KEY (tenant, name, version)
);

CREATE TABLE saved_searches (
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    query TEXT NOT NULL,
    author TEXT NOT NULL,
    time INTEGER NOT NULL,
    PRIMARY KEY (tenant, name)
);

CREATE TABLE audit (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant TEXT NOT NULL,
    time INTEGER NOT NULL,
    actor TEXT NOT NULL,
    reason TEXT,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    done INTEGER NOT NULL,
    detail TEXT NOT NULL
);
CREATE INDEX audit_tenant ON audit (tenant, seq);
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'audit records are never changed'); END;
CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'audit records are never deleted'); END;

CREATE TABLE kept (
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    value BLOB NOT NULL,
    time INTEGER NOT NULL,
    PRIMARY KEY (tenant, name)
);

CREATE TABLE deliveries (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    output TEXT NOT NULL,
    alert TEXT,
    payload BLOB NOT NULL,
    created INTEGER NOT NULL,
    due INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    last_error TEXT,
    gave_up INTEGER NOT NULL,
    UNIQUE (tenant, name)
);
CREATE INDEX deliveries_due ON deliveries (tenant, gave_up, due);
