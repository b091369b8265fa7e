//! The events as a table for DataFusion: filtered here, unit by unit, and handed over in batches.

use std::{fmt, sync::Arc};

use arrow::{
    array::RecordBatch,
    datatypes::{Schema, SchemaRef},
};
use async_trait::async_trait;
use datafusion::{
    catalog::{Session, TableProvider},
    common::{Result as PlanResult, tree_node::TreeNodeRecursion},
    error::DataFusionError,
    execution::{SendableRecordBatchStream, TaskContext},
    logical_expr::{Expr, TableProviderFilterPushDown, TableType},
    physical_expr::{EquivalenceProperties, PhysicalExpr},
    physical_plan::{
        DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, ReplaceChildrenOptions,
        execution_plan::{Boundedness, EmissionType},
        stream::RecordBatchReceiverStream,
    },
};

use super::{
    SearchError,
    files::OpenFiles,
    output::Output,
    predicate::Predicate,
    scan::{Queue, Sought, Stop},
};
use crate::events::EventSnapshot;

/// What a table is read from, and when to stop.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) snapshot: Arc<EventSnapshot>,
    pub(super) files: Arc<OpenFiles>,
    pub(super) stop: Arc<Stop>,
    pub(super) predicate: Predicate,
    /// The stretch of time in microseconds, its end excluded.
    pub(super) from: i64,
    pub(super) to: i64,
    /// Threads that read.
    pub(super) threads: usize,
}

/// The events that pass a filter, each with certain outputs.
pub(super) struct EventsTable {
    source: Source,
    outputs: Vec<Output>,
    schema: SchemaRef,
}

impl EventsTable {
    pub(super) fn new(source: Source, outputs: Vec<Output>) -> Self {
        let schema = Arc::new(Schema::new(outputs.iter().map(Output::field).collect::<Vec<_>>()));
        Self { source, outputs, schema }
    }

    /// What the filter surely demands, where this can be said as a predicate.
    fn demanded(&self, filter: &Expr) -> Option<Predicate> {
        Predicate::from_sql(filter, &|name| {
            self.outputs
                .iter()
                .find(|output| output.name == name)
                .and_then(|output| if output.is_original() { Some(None) } else { output.stored().map(Some) })
        })
    }
}

impl fmt::Debug for EventsTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EventsTable")
    }
}

#[async_trait]
impl TableProvider for EventsTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> PlanResult<Vec<TableProviderFilterPushDown>> {
        // The predicate ignores case where SQL does not, so the filter itself is asked once more.
        Ok(filters
            .iter()
            .map(|filter| match self.demanded(filter) {
                Some(_) => TableProviderFilterPushDown::Inexact,
                None => TableProviderFilterPushDown::Unsupported,
            })
            .collect())
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> PlanResult<Arc<dyn ExecutionPlan>> {
        let mut predicates = vec![self.source.predicate.clone()];
        predicates.extend(filters.iter().filter_map(|filter| self.demanded(filter)));
        let predicates = predicates.into_iter().filter(|predicate| !predicate.is_all()).collect();
        let sought = Arc::new(Sought::new(Predicate::every(predicates), self.source.from, self.source.to));
        let outputs: Vec<Output> = match projection {
            Some(places) => places.iter().filter_map(|at| self.outputs.get(*at)).cloned().collect(),
            None => self.outputs.clone(),
        };
        let schema = match projection {
            Some(places) => Arc::new(self.schema.project(places)?),
            None => self.schema.clone(),
        };
        Ok(Arc::new(EventsScan::new(&self.source, sought, outputs, schema)))
    }
}

/// Reads the units of a [`Queue`]; each partition takes the next that is free.
struct EventsScan {
    work: Arc<Work>,
    properties: Arc<PlanProperties>,
    filtered: bool,
}

struct Work {
    queue: Queue,
    sought: Arc<Sought>,
    stop: Arc<Stop>,
    outputs: Vec<Output>,
    places: Vec<usize>,
    schema: SchemaRef,
}

impl EventsScan {
    fn new(source: &Source, sought: Arc<Sought>, outputs: Vec<Output>, schema: SchemaRef) -> Self {
        let mut places: Vec<usize> =
            outputs.iter().flat_map(|output| output.places(&source.snapshot)).collect();
        places.sort_unstable();
        places.dedup();
        let filtered = !sought.is_all();
        let queue = Queue::new(&source.snapshot, sought.clone(), source.files.clone());
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema.clone()),
            Partitioning::UnknownPartitioning(source.threads.max(1)),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let work = Work { queue, sought, stop: source.stop.clone(), outputs, places, schema };
        Self { work: Arc::new(work), properties: Arc::new(properties), filtered }
    }
}

impl Work {
    fn read(&self, send: &mut dyn FnMut(RecordBatch) -> Result<(), SearchError>) -> Result<(), SearchError> {
        while let Some(unit) = self.queue.take(&self.stop)? {
            let matches = unit.matches(&self.sought, &self.stop)?;
            if self.places.is_empty() {
                // Nothing but the number of rows is wanted, as by count(*).
                let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(matches.count));
                send(RecordBatch::try_new_with_options(self.schema.clone(), Vec::new(), &options)?)?;
            } else if matches.count > 0 {
                unit.place.read(&self.places, matches.rows.as_ref(), &mut |batch| {
                    self.stop.check()?;
                    let arrays = self
                        .outputs
                        .iter()
                        .map(|output| output.array(&batch))
                        .collect::<Result<Vec<_>, _>>()?;
                    send(RecordBatch::try_new(self.schema.clone(), arrays)?)
                })?;
            }
            self.queue.done(&unit);
        }
        Ok(())
    }
}

impl fmt::Debug for EventsScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EventsScan")
    }
}

impl DisplayAs for EventsScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let filtered = if self.filtered { ", filtered" } else { "" };
        write!(f, "EventsScan: {} columns{filtered}", self.work.outputs.len())
    }
}

impl ExecutionPlan for EventsScan {
    fn name(&self) -> &'static str {
        "EventsScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> PlanResult<TreeNodeRecursion>,
    ) -> PlanResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> PlanResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
    ) -> PlanResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(
        &self,
        _partition: usize,
        _context: Arc<TaskContext>,
    ) -> PlanResult<SendableRecordBatchStream> {
        let mut stream = RecordBatchReceiverStream::builder(self.work.schema.clone(), 2);
        let (sender, work) = (stream.tx(), self.work.clone());
        stream.spawn_blocking(move || {
            let read =
                work.read(&mut |batch| sender.blocking_send(Ok(batch)).map_err(|_| SearchError::Cancelled));
            match read {
                // Nobody takes the rest: a limit is reached, or the search is over.
                Ok(()) | Err(SearchError::Cancelled) => Ok(()),
                Err(error) => Err(DataFusionError::External(Box::new(error))),
            }
        });
        Ok(stream.build())
    }
}

/// The search's own error within DataFusion's, or its counterpart.
pub(super) fn search_error(error: DataFusionError, mebibytes: usize) -> SearchError {
    let mut root = error;
    loop {
        root = match root {
            DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => *inner,
            DataFusionError::Shared(shared) => match Arc::try_unwrap(shared) {
                Ok(inner) => inner,
                Err(shared) => return of_text(&shared, mebibytes),
            },
            DataFusionError::External(inner) => {
                return match inner.downcast::<SearchError>() {
                    Ok(error) => *error,
                    Err(other) => SearchError::Failed(other.to_string()),
                };
            }
            other => return of_text(&other, mebibytes),
        }
    }
}

fn of_text(error: &DataFusionError, mebibytes: usize) -> SearchError {
    match error {
        DataFusionError::ResourcesExhausted(_) => SearchError::Memory { mebibytes },
        DataFusionError::SQL(..) | DataFusionError::Plan(_) | DataFusionError::SchemaError(..) => {
            SearchError::Sql { message: error.strip_backtrace() }
        }
        other => SearchError::Failed(other.strip_backtrace()),
    }
}
