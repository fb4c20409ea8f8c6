-- Scheduled tasks that are due → ready, as many as are read at once: at most 1,000 a call.
-- KEYS 1 tasks 2 scheduled 3 ready 4 ready:async 5 seq 6 bell 7 bell:async
-- Returns { promoted, ms until the next due task (-1: none; 0: there are more) }.
local wrong = must_be('zset', KEYS[2], KEYS[3], KEYS[4]) or must_be('hash', KEYS[1])
if wrong then return wrong end
local now = now_ms()
local due = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', text(now), 'LIMIT', 0, MOST)
local sync, async, bytes, seen = 0, 0, 0, 0
for n, id in ipairs(due) do
  redis.call('ZREM', KEYS[2], id)
  local envelope = redis.call('HGET', KEYS[1], id)
  if envelope and kind_of(envelope) == 'a' then
    redis.call('ZADD', KEYS[4], new_place(KEYS[5], envelope), id)
    async = async + 1
  elseif envelope then
    redis.call('ZADD', KEYS[3], new_place(KEYS[5], envelope), id)
    sync = sync + 1
  end
  bytes, seen = bytes + #(envelope or ''), n
  if bytes > READ_BYTES then break end
end
if sync > 0 then ring(KEYS[6], sync, KEYS[3]) end
if async > 0 then ring(KEYS[7], async, KEYS[4]) end
local first = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
return { seen, first[2] and math.max(0, tonumber(first[2]) - now) or -1 }
