"""Facts about a store for the commands, and what comes to show them."""
