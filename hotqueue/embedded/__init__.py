"""The server that comes along: found, started, watched, mended. Knows no Redis client."""
