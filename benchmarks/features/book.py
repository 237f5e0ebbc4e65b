"""The Handbook's twelve window features and nothing else."""

from feature_repo.handbook import customer, fraud, terminal
from sluice import Pipeline

pipeline = Pipeline("book", views=[customer, terminal], label=fraud)
