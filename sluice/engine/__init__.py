"""Exact windowed values: one kernel for history, stream and request."""
