"""Watching what is served: drift, quality with late labels, and the evidence a policy decides on."""
