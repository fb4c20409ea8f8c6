"""One file a contender. See ../README.md for what such a file has to define."""
