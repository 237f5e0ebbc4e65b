"""What the values of each column are like, day by day, as sketches that merge; and how far a batch is from that."""
