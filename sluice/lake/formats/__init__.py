"""Formats of topics whose messages name a registered schema: one module each, `reader(schema)` → bytes to row."""
