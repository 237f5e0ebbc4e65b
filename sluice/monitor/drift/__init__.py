"""Drift of features and scores: tests behind one protocol, thresholds by replay, persistence over checks."""
