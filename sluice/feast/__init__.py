"""The declaration as Feast objects, and Feast's doors to the same values: an online and an offline store.

Importing Feast takes seconds, so only this package does it, and only callers that speak to Feast import this package.
"""
