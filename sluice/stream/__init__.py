"""Kafka: topics, producers, the fold consumer, the archive, and the log of predictions."""
