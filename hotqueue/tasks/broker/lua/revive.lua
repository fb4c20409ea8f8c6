-- Dead tasks → ready, with a clean slate: as many as are read at once, one at least.
-- KEYS 1 tasks 2 attempts 3 ready 4 ready:async 5 seq 6 dead 7 dead:tasks 8 bell 9 bell:async 10 dead:bytes
--      11 large 12 owned
-- ARGV ids
-- Returns { how many of the ids were seen to, those that went back, those that stay, as another has their unique key, each with that one's id }.
local tasks, attempts, ready, ready_async, seq, dead = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local dead_tasks, bell, bell_async, dead_bytes, large = KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11]
local owned = KEYS[12]
local wrong = newer_queue() or must_be('zset', ready, ready_async, dead) or must_be('hash', tasks, attempts, dead_tasks, owned)
if wrong then return wrong end
may_grow(dead_tasks)
local back, kept, bytes, seen = {}, {}, 0, 0
local now = now_ms()
local owners = owning(owned, now)
if redis.call('EXISTS', owned) == 1 then following(ready, owners, now) end -- before anything is written
local checkpoints = string.sub(dead, 1, -5) .. 'checkpoints'
for n, id in ipairs(ARGV) do
  local record = redis.call('HGET', dead_tasks, id)
  local envelope = record and string.match(record, '^[^\n]*\n(.*)$')
  local flags = envelope and string.byte(envelope, 4)
  local is_unique, fine, other = flags and flags > 15, true, nil
  if is_unique then fine, other = pcall(gates(ready).unique().claim, id, envelope, now, false) end
  if not fine then -- a key of the wrong type: it stays, and the others do not
    wrong = wrong or failure(other)
  elseif other then
    kept[#kept + 1], kept[#kept + 2] = id, other
  elseif flags then
    local place, found = new_place(seq, envelope), gates(ready).of(envelope) -- first: a counter that is none stops us here
    owners.take_back(id)
    -- What it has kept is still there: it goes on from that, and is marked again; see checkpoint.lua.
    local mark = redis.pcall('HEXISTS', checkpoints, id) == 1 and ' c d' or ' d'
    redis.call('HSET', attempts, id, '0 0 - - - 0 0 0' .. mark .. text(now)) -- it has waited since now, not while it was dead
    if not found then redis.call('ZADD', kind_of(envelope) == 'a' and ready_async or ready, place, id) end
    redis.call('HSET', tasks, id, envelope)
    if is_unique then gates(ready).unique().successors().keep_claim(envelope) end
    if found then gates(ready).enter(id, place, found) end
    if #envelope > SMALL_TASK then redis.pcall('SADD', large, id) end
    count_coming(string.sub(tasks, 1, -6), now, envelope)
    back[#back + 1] = id
  end
  if not other then drop_dead(dead, dead_tasks, dead_bytes, id, flags ~= nil) end
  bytes, seen = bytes + #(record or ''), n
  if bytes > READ_BYTES then break end
end
if made_following then made_following.follow() end
if #back > 0 then
  ring(bell, #back, ready)
  ring(bell_async, #back, ready_async)
  gates(ready).ring()
end
if made_following then made_following.ring() end
return wrong or { seen, back, kept }
