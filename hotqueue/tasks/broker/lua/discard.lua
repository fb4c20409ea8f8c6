-- Throw dead tasks away.
-- KEYS 1 dead 2 dead:tasks 3 dead:bytes 4 owned
-- ARGV ids
-- Returns how many there were.
local dead, dead_tasks, dead_bytes, owned = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local wrong = newer_queue() or must_be('zset', dead) or must_be('hash', dead_tasks, owned)
if wrong then return wrong end
local tag = string.sub(dead, 1, -#'dead' - 1)
local before = redis.call('ZCARD', dead)
local owners = redis.call('EXISTS', owned) == 1 and owning(owned, now_ms())
if owners then following(string.sub(dead, 1, -5) .. 'ready', owners, now_ms()) end -- before anything is written
for _, id in ipairs(ARGV) do
  local was_dead = redis.call('HEXISTS', dead_tasks, id) == 1
  drop_dead(dead, dead_tasks, dead_bytes, id)
  if was_dead then redis.call('DEL', tag .. 'stream:' .. id, tag .. 'streamed:' .. id) end
  if owners and was_dead then owners.end_dead(id) end
end
if owners then
  following(string.sub(dead, 1, -5) .. 'ready', owners, now_ms()).follow()
  made_following.ring()
end
return before - redis.call('ZCARD', dead)
