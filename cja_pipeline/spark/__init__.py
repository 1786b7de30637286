"""The warehouse on Apache Spark: models run on a cluster, and their tables are Parquet files."""
