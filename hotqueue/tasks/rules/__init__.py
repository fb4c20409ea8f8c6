"""Pure: decides, does nothing. Knows no store and no wire."""
