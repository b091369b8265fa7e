//! SQL over the table `events`: one query, which only reads.

use std::sync::Arc;

use datafusion::{
    common::tree_node::TreeNodeRecursion,
    error::DataFusionError,
    execution::{
        disk_manager::{DiskManagerBuilder, DiskManagerMode},
        memory_pool::GreedyMemoryPool,
        runtime_env::RuntimeEnvBuilder,
    },
    logical_expr::LogicalPlan,
    prelude::{DataFrame, SQLOptions, SessionConfig, SessionContext},
};

use super::{
    SearchError,
    output::Output,
    table::{EventsTable, Source, search_error},
};

/// The name of the one table.
const TABLE: &str = "events";

/// Functions that make much of little, or look outside: none of them is needed to search events.
const WITHHELD: &[&str] = &[
    "repeat",
    "lpad",
    "rpad",
    "space",
    "array_repeat",
    "list_repeat",
    "array_resize",
    "list_resize",
    "range",
    "generate_series",
    "version",
];

/// A context with nothing in it, whose queries may use so much memory, and no disk.
pub(super) fn context(mebibytes: usize, threads: usize) -> Result<SessionContext, SearchError> {
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(GreedyMemoryPool::new(mebibytes << 20)))
        .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled))
        .build_arc()
        .map_err(|error| search_error(error, mebibytes))?;
    let mut config = SessionConfig::new()
        .with_target_partitions(threads.max(1))
        .with_information_schema(false)
        .with_create_default_catalog_and_schema(true);
    // A recursive query has no bound on its work.
    config.options_mut().execution.enable_recursive_ctes = false;
    let context = SessionContext::new_with_config_rt(config, runtime);
    for name in WITHHELD {
        context.deregister_udf(name);
        context.deregister_udtf(name);
    }
    Ok(context)
}

/// Plans a query over the events.
///
/// # Errors
/// Where it cannot be understood, is not one reading query, or reads anything but `events`.
pub(super) async fn plan(
    sql: &str,
    source: Source,
    mebibytes: usize,
    threads: usize,
) -> Result<DataFrame, SearchError> {
    let context = context(mebibytes, threads)?;
    let failed = |error: DataFusionError| match search_error(error, mebibytes) {
        SearchError::Failed(message) => SearchError::Sql { message },
        other => other,
    };
    let table = EventsTable::new(source, Output::table());
    context.register_table(TABLE, Arc::new(table)).map_err(failed)?;
    let plan = context.state().create_logical_plan(sql).await.map_err(failed)?;
    verify(&plan)?;
    // Says the same in DataFusion's own words, for kinds of statements yet to come.
    SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false)
        .verify_plan(&plan)
        .map_err(failed)?;
    context.execute_logical_plan(plan).await.map_err(failed)
}

fn verify(plan: &LogicalPlan) -> Result<(), SearchError> {
    let refused = |what: &str| SearchError::Sql {
        message: format!("{what} is not allowed here; write one SELECT over the table {TABLE}"),
    };
    let mut problem = None;
    let visited = plan.apply_with_subqueries(|node| {
        problem = match node {
            LogicalPlan::Ddl(_) => Some("to create or drop something".to_owned()),
            LogicalPlan::Dml(_) => Some("to change data".to_owned()),
            LogicalPlan::Copy(_) => Some("to write files".to_owned()),
            LogicalPlan::Statement(_) => Some("a statement that is no query".to_owned()),
            LogicalPlan::Extension(_) | LogicalPlan::RecursiveQuery(_) => {
                Some("this kind of query".to_owned())
            }
            LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) | LogicalPlan::DescribeTable(_) => {
                Some("a question about a query".to_owned())
            }
            LogicalPlan::TableScan(scan) if scan.table_name.table() != TABLE => {
                Some(format!("to read {}", scan.table_name))
            }
            _ => None,
        };
        Ok(if problem.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    match (problem, visited) {
        (Some(what), _) => Err(refused(&what)),
        (None, Err(error)) => Err(SearchError::Sql { message: error.strip_backtrace() }),
        (None, Ok(_)) => Ok(()),
    }
}
