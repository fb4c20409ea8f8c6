"""Tests of the commands, run as real processes."""
