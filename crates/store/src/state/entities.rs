//! What is known of entities, and the risk that follows from it.

use covigil_model::{EntityKind, EntityRef, OpContext, Severity, Time};
use serde::{Deserialize, Serialize};
use sqlx::{AnyConnection, any::AnyRow};

use super::{
    State, StateError,
    sql::{Columns as _, Sql},
};

/// How much the customer would miss an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Criticality {
    /// A test machine, a guest.
    Low,
    /// Nothing special is known.
    #[default]
    Normal,
    /// Important to the business.
    High,
    /// The business stops without it.
    Critical,
}

impl Criticality {
    /// All, least first.
    pub const ALL: [Self; 4] = [Self::Low, Self::Normal, Self::High, Self::Critical];

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// The criticality a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.as_str() == word)
    }
}

/// The risk of an alert, 0 to 100: its severity (10, 25, 50, 75, 90), moved by the criticality of
/// the most critical entity that it concerns (−10, 0, +5, +10).
pub const fn risk(severity: Severity, criticality: Criticality) -> u8 {
    let base: u8 = match severity {
        Severity::Informational => 10,
        Severity::Low => 25,
        Severity::Medium => 50,
        Severity::High => 75,
        Severity::Critical => 90,
    };
    match criticality {
        Criticality::Low => base - 10,
        Criticality::Normal => base,
        Criticality::High => base + 5,
        Criticality::Critical => base + 10,
    }
}

/// What is known of an entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityContext {
    /// Which.
    pub entity: EntityRef,
    /// How much it matters.
    pub criticality: Criticality,
    /// Who answers for it.
    pub owner: String,
    /// The customer's remark: purpose, what is normal for it.
    pub remark: String,
    /// Free words to group entities by.
    pub tags: Vec<String>,
    /// Who last changed this, and when.
    pub edited: Option<(String, Time)>,
    /// Alerts about it that are not closed.
    pub open_alerts: u64,
    /// All alerts about it.
    pub alerts: u64,
    /// Event time of the first alert about it.
    pub first_seen: Option<Time>,
    /// Event time of the last alert about it.
    pub last_seen: Option<Time>,
}

/// What the customer says of an entity.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EntityChange {
    /// How much it matters.
    pub criticality: Criticality,
    /// Who answers for it, at most 200 characters.
    pub owner: String,
    /// Plain text, at most 2,000 characters.
    pub remark: String,
    /// At most 32 tags of at most 64 characters.
    pub tags: Vec<String>,
}

/// The criticality of the most critical of the entities. One of which nothing is known is normal;
/// without any entity it is normal.
pub(super) async fn criticality_of(
    ctx: &OpContext,
    on: &mut AnyConnection,
    entities: &[EntityRef],
) -> Result<Criticality, StateError> {
    if entities.is_empty() {
        return Ok(Criticality::Normal);
    }
    let mut sql = Sql::new(ctx, "SELECT criticality FROM entities WHERE tenant = $1 AND (");
    for (at, entity) in entities.iter().enumerate() {
        sql.push(if at == 0 { "(kind = " } else { " OR (kind = " }).bind(entity.kind.as_str());
        sql.push(" AND name = ").bind(entity.name.as_str()).push(")");
    }
    sql.push(")");
    let rows = sql.all(on).await?;
    let mut most = if rows.len() == entities.len() { Criticality::Low } else { Criticality::Normal };
    for row in rows {
        most = most.max(Criticality::from_word(&row.text("criticality")?).unwrap_or_default());
    }
    Ok(most)
}

fn said_of(row: &AnyRow, context: &mut EntityContext) -> Result<(), StateError> {
    context.criticality = Criticality::from_word(&row.text("criticality")?).unwrap_or_default();
    context.owner = row.text("owner")?;
    context.remark = row.text("remark")?;
    context.tags =
        serde_json::from_str(&row.text("tags")?).map_err(|_| StateError::Unreadable("list of tags"))?;
    context.edited = Some((row.text("edited_by")?, row.time("edited")?));
    Ok(())
}

impl EntityContext {
    fn unknown(entity: EntityRef) -> Self {
        Self {
            entity,
            criticality: Criticality::Normal,
            owner: String::new(),
            remark: String::new(),
            tags: Vec::new(),
            edited: None,
            open_alerts: 0,
            alerts: 0,
            first_seen: None,
            last_seen: None,
        }
    }
}

impl State {
    /// What is known of an entity; of an unknown one, that it is normal.
    ///
    /// # Errors
    ///
    /// [`StateError::Database`].
    pub async fn entity(&self, ctx: &OpContext, entity: &EntityRef) -> Result<EntityContext, StateError> {
        let mut on = self.read().await?;
        let mut context = EntityContext::unknown(entity.clone());
        let sql = Sql::new(ctx, "SELECT * FROM entities WHERE tenant = $1 AND kind = $2 AND name = $3");
        if let Some(row) = sql.with(entity.kind.as_str()).with(entity.name.as_str()).first(&mut on).await? {
            said_of(&row, &mut context)?;
        }
        let sql = Sql::new(
            ctx,
            "SELECT COUNT(*) AS alerts, COALESCE(SUM(a.open), 0) AS open_alerts, MIN(a.first_seen) AS first_seen, \
             MAX(a.last_seen) AS last_seen FROM alert_values v \
             JOIN alerts a ON a.tenant = v.tenant AND a.id = v.alert \
             WHERE v.tenant = $1 AND v.kind = $2 AND v.value = $3",
        );
        if let Some(row) = sql.with(entity.kind.as_str()).with(entity.name.as_str()).first(&mut on).await? {
            context.alerts = row.count("alerts")?;
            context.open_alerts = row.count("open_alerts")?;
            context.first_seen = row.opt_time("first_seen")?;
            context.last_seen = row.opt_time("last_seen")?;
        }
        Ok(context)
    }

    /// The entities of which something was said, by kind and name. Without counts of alerts.
    ///
    /// # Errors
    ///
    /// [`StateError::Database`].
    pub async fn entities(&self, ctx: &OpContext, limit: usize) -> Result<Vec<EntityContext>, StateError> {
        let sql = Sql::new(ctx, "SELECT * FROM entities WHERE tenant = $1 ORDER BY kind, name LIMIT $2");
        let rows = sql.with(limit.min(100_000) as i64).all(&mut *self.read().await?).await?;
        rows.iter()
            .map(|row| {
                let kind =
                    EntityKind::from_word(&row.text("kind")?).ok_or(StateError::Unreadable("entity kind"))?;
                let mut context = EntityContext::unknown(EntityRef { kind, name: row.text("name")? });
                said_of(row, &mut context)?;
                Ok(context)
            })
            .collect()
    }

    /// Says something of an entity; the risk of its open alerts follows.
    ///
    /// # Errors
    ///
    /// [`StateError::Invalid`] over a limit, [`StateError::Database`].
    pub async fn change_entity(
        &self,
        ctx: &OpContext,
        entity: &EntityRef,
        change: &EntityChange,
    ) -> Result<(), StateError> {
        let long = |text: &str, limit| text.chars().count() > limit;
        if long(&change.remark, 2_000) || long(&change.owner, 200) {
            return Err(StateError::Invalid(
                "a remark has at most 2,000 characters, an owner's name 200".into(),
            ));
        }
        if change.tags.len() > 32 || change.tags.iter().any(|tag| long(tag, 64)) {
            return Err(StateError::Invalid("an entity has at most 32 tags of at most 64 characters".into()));
        }
        let tags = serde_json::to_string(&change.tags)
            .map_err(|_| StateError::Invalid("these tags cannot be stored".into()))?;
        let mut tx = self.change().await?;
        let sql = Sql::new(
            ctx,
            "INSERT INTO entities (tenant, kind, name, criticality, owner, remark, tags, edited_by, edited) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (tenant, kind, name) DO UPDATE SET \
             criticality = $4, owner = $5, remark = $6, tags = $7, edited_by = $8, edited = $9",
        );
        sql.with(entity.kind.as_str())
            .with(entity.name.as_str())
            .with(change.criticality.as_str())
            .with(change.owner.as_str())
            .with(change.remark.as_str())
            .with(tags)
            .with(ctx.actor().name())
            .with(ctx.at())
            .run(&mut tx)
            .await?;
        let sql = Sql::new(
            ctx,
            "SELECT a.id, a.severity, a.risk, a.entities FROM alerts a WHERE a.tenant = $1 AND a.open = 1 AND a.id \
             IN (SELECT alert FROM alert_values WHERE tenant = $1 AND kind = $2 AND value = $3)",
        );
        let rows = sql.with(entity.kind.as_str()).with(entity.name.as_str()).all(&mut tx).await?;
        for row in rows {
            let entities: Vec<EntityRef> = serde_json::from_str(&row.text("entities")?)
                .map_err(|_| StateError::Unreadable("entity list"))?;
            let severity = Severity::from_ocsf_id(row.int("severity")? as u8);
            let now = i64::from(risk(severity, criticality_of(ctx, &mut tx, &entities).await?));
            if now != row.int("risk")? {
                let sql = Sql::new(ctx, "UPDATE alerts SET risk = $3 WHERE tenant = $1 AND id = $2");
                sql.with(row.text("id")?).with(now).run(&mut tx).await?;
            }
        }
        tx.commit().await?;
        Ok(())
    }
}
