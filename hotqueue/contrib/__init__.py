"""hotqueue behind other people's interfaces: a module for each, imported by whoever wants it, and by nothing else here."""
