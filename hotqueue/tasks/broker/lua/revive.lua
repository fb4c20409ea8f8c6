-- Dead tasks → ready, with a clean slate: as many as are read at once, one at least.
-- KEYS 1 tasks 2 attempts 3 ready 4 ready:async 5 seq 6 dead 7 dead:tasks 8 bell 9 bell:async 10 dead:bytes
--      11 large 12… result:<id> of each
-- ARGV ids
-- Returns { how many of the ids were seen to, those that went back }.
local wrong = must_be('zset', KEYS[3], KEYS[4], KEYS[6]) or must_be('hash', KEYS[1], KEYS[2], KEYS[7])
if wrong then return wrong end
local back, bytes, seen = {}, 0, 0
for n, id in ipairs(ARGV) do
  local record = redis.call('HGET', KEYS[7], id)
  local envelope = record and string.match(record, '^[^\n]*\n(.*)$')
  drop_dead(KEYS[6], KEYS[7], KEYS[10], id)
  if envelope and #envelope > 3 then
    redis.call('DEL', KEYS[11 + n])
    redis.call('HDEL', KEYS[2], id)
    redis.call('ZADD', kind_of(envelope) == 'a' and KEYS[4] or KEYS[3], new_place(KEYS[5], envelope), id)
    redis.call('HSET', KEYS[1], id, envelope)
    if #envelope > SMALL_TASK then redis.pcall('SADD', KEYS[11], id) end
    back[#back + 1] = id
  end
  bytes, seen = bytes + #(record or ''), n
  if bytes > READ_BYTES then break end
end
if #back > 0 then
  ring(KEYS[8], #back, KEYS[3])
  ring(KEYS[9], #back, KEYS[4])
end
return { seen, back }
