"""The lake: Delta tables, what may enter them, and who may see it when."""
