"""Tests of the full-screen monitor: its parts, by textual's pilot, and in a real terminal."""
