-- Tasks that waited for a worker able to run them → ready, at their places.
-- KEYS 1 tasks 2 attempts 3 ready 4 ready:async 5 suspects 6 parked:<need> 7 needs 8 bell 9 bell:async 10 paused
-- ARGV 1 need 2 kind of the worker that asks, '' for none 3 how many at most
-- Returns how many went back, no more than are read at once. Rings for no worker of its kind, nor for sync ones of others: the
-- first in line may be one that
-- parks them again, and again. Who asks fetches them at once, or wakes its own; what it leaves behind, fetch rings for. For what was
-- paused, it rings for all. A suspect goes back to the suspects. What is still paused stays.
local tasks, attempts, ready, ready_async, suspects, parked = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local needs, bell, bell_async, paused = KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local need, kind, most = ARGV[1], ARGV[2], ARGV[3]
local wrong = newer_queue() or must_be('zset', ready, ready_async, suspects, parked) or must_be('hash', tasks, attempts)
if wrong then return wrong end
local paused_name = string.match(need, '^paused:(.*)$')
if paused_name and pausing(string.sub(tasks, 1, -6)).has_name(paused_name, redis.call('GET', paused) or '') then return 0 end
local async, bytes, moved = 0, 0, 0
local line = redis.call('ZRANGE', parked, 0, math.min(most, MOST) - 1, 'WITHSCORES')
for i = 1, #line, 2 do
  local id = line[i]
  local envelope = redis.call('HGET', tasks, id)
  redis.call('ZREM', parked, id)
  if envelope then
    local a = history().split(redis.call('HGET', attempts, id))
    a.need = '-'
    redis.call('HSET', attempts, id, history().join(a))
    local set, found = ready, gates(ready).of(envelope)
    if a.width > 0 then
      set = suspects
    elseif found then
      set = nil
      gates(ready).enter(id, line[i + 1], found)
    elseif kind_of(envelope) == 'a' then
      set, async = ready_async, async + 1
    end
    if set then redis.call('ZADD', set, line[i + 1], id) end
  end
  bytes, moved = bytes + #(envelope or ''), moved + 1
  if bytes > READ_BYTES then break end
end
if redis.call('EXISTS', parked) == 0 then redis.call('SREM', needs, need) end
gates(ready).ring(kind)
if paused_name and moved > 0 then ring(bell, moved, ready) end
if async > 0 and (paused_name or kind ~= 'a') then ring(bell_async, async, ready_async) end
return moved
