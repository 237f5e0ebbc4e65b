"""The sections of the page, in the order in which data walks through a pipeline."""
