-- Claim suspects for a quarantine process that a supervisor is about to start, or renew that claim while the process starts.
-- KEYS 1 suspects 2 attempts 3 claims 4 paused
-- ARGV 1 supervisor 2 lease in ms 3 '1': give the claim up
-- Returns { how many may run side by side in that process, how many of them wait }; noughts when no process is needed.
-- Over the whole fleet no more processes start at a time than it takes to run all that wait.
local LOOKED_AT = 200 -- as many as a fetch looks at
local LARGEST = 32 -- each slot takes a thread and six descriptors: this many start within the 256 that some systems allow
local now = now_ms()
local wrong = must_be('zset', KEYS[1], KEYS[3]) or must_be('hash', KEYS[2])
if wrong then return wrong end
may_grow(KEYS[2])
for _, late in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', text(now))) do redis.call('ZREM', KEYS[3], late) end
redis.call('ZREM', KEYS[3], ARGV[1])
if ARGV[3] == '1' or redis.call('EXISTS', KEYS[4]) == 1 then return { 0, 0 } end
local others = redis.call('ZCARD', KEYS[3])
local ids = redis.call('ZRANGE', KEYS[1], 0, LOOKED_AT - 1)
if #ids == 0 then return { 0, 0 } end

-- In their order they fall into companies, each as large as may run side by side, within reason; others have claimed the first ones.
local attempts, companies, width, size = redis.call('HMGET', KEYS[2], unpack(ids)), 0, 0, 0
for i = 1, #ids do
  local own = math.min(LARGEST, math.max(1, split_attempts(attempts[i])[9]))
  if size == width or own < width then
    if companies > others then break end
    companies, width, size = companies + 1, own, 0
  end
  size = size + 1
end
if companies <= others then return { 0, 0 } end
redis.call('ZADD', KEYS[3], text(now + ARGV[2]), ARGV[1])
redis.call('PEXPIRE', KEYS[3], 120000) -- longer than any lease
return { width, size }
