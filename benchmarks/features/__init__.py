"""The feature engine beside its peers: `make bench-features`."""
