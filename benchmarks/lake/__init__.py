"""How fast the lake is: the contract beside reading and writing, a day's verdict, and events from Kafka to features."""
