"""How long a lake keeps what it has: what is dropped, what is only packed closer, and what nobody may take away."""
