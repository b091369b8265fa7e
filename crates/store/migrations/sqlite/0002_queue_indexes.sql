-- The queue by number of findings, text and family; the values of alerts clustered by value.

CREATE INDEX alerts_count ON alerts (tenant, open, count, raised, id);
CREATE INDEX alerts_search ON alerts (tenant, open, search, id);
DROP INDEX alerts_facets;
CREATE INDEX alerts_facets ON alerts (tenant, open, state, severity, assignee, solution, id);

CREATE TABLE values_by_value (
    tenant TEXT NOT NULL,
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    alert TEXT NOT NULL,
    open INTEGER NOT NULL,
    PRIMARY KEY (tenant, kind, value, alert)
) WITHOUT ROWID;
INSERT INTO values_by_value SELECT tenant, kind, value, alert, open FROM alert_values;
DROP TABLE alert_values;
ALTER TABLE values_by_value RENAME TO alert_values;
CREATE INDEX alert_values_alert ON alert_values (tenant, alert);
