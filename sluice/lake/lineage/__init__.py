"""Where a prediction, a model or a table came from, down to files and offsets: computed from the tables alone."""
