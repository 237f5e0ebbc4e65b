"""The Handbook's twelve window features, and two over an entity's lifetime."""

from feature_repo.handbook import customer, fraud, terminal, transactions
from sluice import Pipeline, Windows, count, mean

known = Windows("known", of="customer_id", over=transactions, features=[count("lifetime"), mean("amount", "lifetime")])
pipeline = Pipeline("lifetime", views=[customer, terminal, known], label=fraud)
