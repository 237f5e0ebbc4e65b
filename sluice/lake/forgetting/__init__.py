"""The right to be forgotten: what a lake has of one entity goes, it does not come back, and a receipt says so."""
