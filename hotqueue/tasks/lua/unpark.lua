-- Tasks that waited for a worker able to run them → ready, at their places. At most 1,000 a call.
-- KEYS 1 tasks 2 attempts 3 ready 4 ready:async 5 parked:<need> 6 needs 7 bell 8 bell:async
-- ARGV 1 need
-- Returns how many went back.
local wrong = must_be('zset', KEYS[3], KEYS[4], KEYS[5]) or must_be('hash', KEYS[1], KEYS[2])
if wrong then return wrong end
local popped = redis.call('ZPOPMIN', KEYS[5], 1000)
for i = 1, #popped, 2 do
  local id = popped[i]
  local envelope = redis.call('HGET', KEYS[1], id)
  if envelope then
    local a = split_attempts(redis.call('HGET', KEYS[2], id))
    a[3] = '-'
    redis.call('HSET', KEYS[2], id, join_attempts(a))
    redis.call('ZADD', kind_of(envelope) == 'a' and KEYS[4] or KEYS[3], popped[i + 1], id)
  end
end
if redis.call('EXISTS', KEYS[5]) == 0 then redis.call('SREM', KEYS[6], ARGV[1]) end
if #popped > 0 then
  ring(KEYS[7], #popped / 2)
  ring(KEYS[8], #popped / 2)
end
return #popped / 2
