-- Tasks that waited for a worker able to run them → ready, at their places.
-- KEYS 1 tasks 2 attempts 3 ready 4 ready:async 5 suspects 6 parked:<need> 7 needs 8 bell:async
-- ARGV 1 need 2 kind of the worker that asks 3 how many at most
-- Returns how many went back, no more than are read at once. Rings for no worker of its kind, nor for sync ones of others: the
-- first in line may be one that
-- parks them again, and again. Who asks fetches them at once, or wakes its own; what it leaves behind, fetch rings for.
-- A suspect goes back to the suspects.
local wrong = must_be('zset', KEYS[3], KEYS[4], KEYS[5], KEYS[6]) or must_be('hash', KEYS[1], KEYS[2])
if wrong then return wrong end
local async, bytes, moved = 0, 0, 0
local line = redis.call('ZRANGE', KEYS[6], 0, math.min(ARGV[3], MOST) - 1, 'WITHSCORES')
for i = 1, #line, 2 do
  local id = line[i]
  local envelope = redis.call('HGET', KEYS[1], id)
  redis.call('ZREM', KEYS[6], id)
  if envelope then
    local a = split_attempts(redis.call('HGET', KEYS[2], id))
    a[3] = '-'
    redis.call('HSET', KEYS[2], id, join_attempts(a))
    local ready = KEYS[3]
    if a[9] > 0 then
      ready = KEYS[5]
    elseif kind_of(envelope) == 'a' then
      ready, async = KEYS[4], async + 1
    end
    redis.call('ZADD', ready, line[i + 1], id)
  end
  bytes, moved = bytes + #(envelope or ''), moved + 1
  if bytes > READ_BYTES then break end
end
if redis.call('EXISTS', KEYS[6]) == 0 then redis.call('SREM', KEYS[7], ARGV[1]) end
if async > 0 and ARGV[2] ~= 'a' then ring(KEYS[8], async, KEYS[4]) end
return moved
