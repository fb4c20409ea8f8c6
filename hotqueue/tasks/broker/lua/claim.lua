-- Claim suspects for a quarantine process that a supervisor is about to start, or renew that claim while the process starts.
-- KEYS 1 suspects 2 attempts 3 claims 4 paused
-- ARGV 1 supervisor 2 lease in ms 3 '1': give the claim up
-- Returns { how many may run side by side in that process, how many of them wait }; noughts when no process is needed.
-- Over the whole fleet no more processes start at a time than it takes to run all that wait.
local LOOKED_AT = 200 -- as many as a fetch looks at
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

-- In their order they fall into companies, each as large as may run side by side; others have claimed the first ones.
local attempts, companies = redis.call('HMGET', KEYS[2], unpack(ids)), {}
local function join(own)
  for _, each in ipairs(companies) do
    if each.size < each.width and fits(own, each.width) then
      each.size = each.size + 1
      return
    end
  end
  companies[#companies + 1] = { width = own, size = 1 }
end
for i = 1, #ids do join(width_of(attempts[i])) end
local ours = companies[others + 1]
if not ours then return { 0, 0 } end
redis.call('ZADD', KEYS[3], text(now + ARGV[2]), ARGV[1])
redis.call('PEXPIRE', KEYS[3], 120000) -- longer than any lease
return { ours.width, ours.size }
