-- Forget another queue from which nothing has come for long, and in whose outbox nothing is for this one.
-- KEYS 1 receipts 2 received:<queue>
-- ARGV 1 queue 2 what stood in receipts when that was seen
-- Returns 1, or 0 when something has come from it since.
local receipts, received = KEYS[1], KEYS[2]
local newer = newer_queue()
if newer then return newer end
if redis.call('HGET', receipts, ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HDEL', receipts, ARGV[1])
redis.call('DEL', received)
return 1
