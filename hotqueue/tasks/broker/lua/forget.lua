-- Remove a result; one that is owned stays until it is let go of.
-- KEYS 1 result:<id> 2 owned
-- ARGV 1 id
local owned = KEYS[2]
local newer = newer_queue()
if newer then return newer end
may_grow(owned)
owning(owned, now_ms()).forget(ARGV[1])
return 1
