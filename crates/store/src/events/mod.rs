//! Events at rest: Parquet in Delta Lake tables, with a memory table in front.
