-- List tasks whose `expires` has come. Writes nothing.
-- KEYS 1 expiring 2 attempts
-- ARGV how many at most
-- Returns { id, what it is parked for or '-', … }.
local expiring, attempts = KEYS[1], KEYS[2]
local newer = newer_queue()
if newer then return newer end
local found = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', expiring, '-inf', text(now_ms()), 'LIMIT', 0, ARGV[1])) do
  found[#found + 1] = id
  found[#found + 1] = history().split(redis.call('HGET', attempts, id)).need
end
return found
