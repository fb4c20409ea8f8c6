-- Forget the receipts of what has been struck in the outbox of another queue.
-- KEYS 1 receipts 2 received:<queue>
-- ARGV 1 queue 2 the number before which all has been struck there
-- Returns 1, or 0 when nothing ever came from it.
local receipts, received = KEYS[1], KEYS[2]
local newer = newer_queue()
if newer then return newer end
local highest = string.match(redis.call('HGET', receipts, ARGV[1]) or '', '^%d+')
redis.call('ZREMRANGEBYSCORE', received, '-inf', '(' .. ARGV[2])
if not highest then return 0 end
redis.call('HSET', receipts, ARGV[1], highest .. ' ' .. text(now_ms()))
return 1
