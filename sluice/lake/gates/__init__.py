"""Gates of a batch: rules about the whole of it. They pick out no rows; a stop means that it has not arrived."""
