"""Card fraud under another name, so that a second world fits into the same home."""

from dataclasses import replace

from feature_repo.fraud import pipeline as fraud

pipeline = replace(fraud, name="calm")
