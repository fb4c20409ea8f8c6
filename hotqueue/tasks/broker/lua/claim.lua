-- Claim suspects for a quarantine process that a supervisor is about to start, or renew that claim while the process starts.
-- KEYS 1 suspects 2 attempts 3 claims 4 paused
-- ARGV 1 supervisor 2 lease in ms 3 '1': give the claim up
-- Returns { how many may run side by side in that process, how many of them wait }; noughts when no process is needed.
-- Over the whole fleet no more processes start at a time than it takes to run all that wait.
local suspects, attempts, claims, paused = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local LOOKED_AT = 200 -- as many as a fetch looks at
local supervisor, lease, gives_up = ARGV[1], ARGV[2], ARGV[3] == '1'
local now = now_ms()
local wrong = not gives_up and newer_queue() or must_be('zset', suspects, claims) or must_be('hash', attempts)
if wrong then return wrong end
may_grow(attempts)
for _, late in ipairs(redis.call('ZRANGEBYSCORE', claims, '-inf', text(now))) do redis.call('ZREM', claims, late) end
redis.call('ZREM', claims, supervisor)
if gives_up or pausing(string.sub(attempts, 1, -9)).is_queue_paused() then return { 0, 0 } end
local others = redis.call('ZCARD', claims)
local ids = redis.call('ZRANGE', suspects, 0, LOOKED_AT - 1)
if #ids == 0 then return { 0, 0 } end

-- In their order they fall into companies, each as large as may run side by side; others have claimed the first ones.
local histories, companies = redis.call('HMGET', attempts, unpack(ids)), {}
local function join(own)
  for _, each in ipairs(companies) do
    if each.size < each.width and history().fits(own, each.width) then
      each.size = each.size + 1
      return
    end
  end
  companies[#companies + 1] = { width = own, size = 1 }
end
for i = 1, #ids do join(history().width_of(histories[i])) end
local ours = companies[others + 1]
if not ours then return { 0, 0 } end
redis.call('ZADD', claims, text(now + lease), supervisor)
redis.call('PEXPIRE', claims, 120000) -- longer than any lease
return { ours.width, ours.size }
