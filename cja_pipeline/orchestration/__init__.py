"""How Dagster runs the rooms: partitions, resources, jobs, schedule, sensors, metadata."""
