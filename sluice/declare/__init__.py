"""The vocabulary a pipeline is written in; it imports no engine."""
