"""Prefect flows: each reads top to bottom as a chapter of the pipeline's story."""
