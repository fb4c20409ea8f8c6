"""What one trouble costs those who have nothing to do with it; see __main__.py."""
