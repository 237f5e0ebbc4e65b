"""What a run came to: figures that are read back from where they were written, and a page that shows them."""
