"""`sluice demo`: the whole loop, told as it happens."""
