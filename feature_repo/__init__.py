"""The user's page: one file per pipeline."""
