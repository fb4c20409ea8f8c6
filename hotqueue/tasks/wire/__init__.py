"""What travels; Lua and Python share these formats. Sends nothing."""
