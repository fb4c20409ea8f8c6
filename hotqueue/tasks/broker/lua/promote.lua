-- Scheduled tasks that are due → ready, as many as are read at once: at most 1,000 a call; and what waits at gates whose time has come.
-- KEYS 1 tasks 2 scheduled 3 ready 4 ready:async 5 seq 6 bell 7 bell:async
-- Returns { promoted, ms until the next due task (-1: none; 0: there are more) }.
local tasks, scheduled, ready, ready_async, seq, bell = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local bell_async = KEYS[7]
local wrong = newer_queue() or must_be('zset', scheduled, ready, ready_async) or must_be('hash', tasks)
if wrong then return wrong end
may_grow(tasks)
local now = now_ms()
local due = redis.call('ZRANGEBYSCORE', scheduled, '-inf', text(now), 'LIMIT', 0, MOST)
local sync, async, bytes, seen = 0, 0, 0, 0
for n, id in ipairs(due) do
  local envelope = redis.call('HGET', tasks, id)
  local place = envelope and new_place(seq, envelope) -- first: a counter that is none stops us here
  local found = envelope and gates(ready).of(envelope)
  local flags = envelope and string.byte(envelope, 4)
  redis.call('ZREM', scheduled, id)
  if id == '\n' then
    gates(ready).lanes().open_due() -- no task: see timers.lua
  elseif flags and flags > 15 and gates(ready).unique().successors().waits_behind(id, envelope, place, now) then
    -- it is parked
  elseif found then
    gates(ready).enter(id, place, found)
  elseif envelope and kind_of(envelope) == 'a' then
    redis.call('ZADD', ready_async, place, id)
    async = async + 1
  elseif envelope then
    redis.call('ZADD', ready, place, id)
    sync = sync + 1
  end
  bytes, seen = bytes + #(envelope or ''), n
  if bytes > READ_BYTES then break end
end
if sync > 0 then ring(bell, sync, ready) end
if async > 0 then ring(bell_async, async, ready_async) end
gates(ready).ring()
local first = redis.call('ZRANGE', scheduled, 0, 0, 'WITHSCORES')
return { seen, first[2] and math.max(0, tonumber(first[2]) - now) or -1 }
