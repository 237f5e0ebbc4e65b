"""Batch jobs, one file each, runnable by spark-submit."""
