"""Feast's own feature views in our stores: rows written by anybody, read as of a moment within their time to live."""
