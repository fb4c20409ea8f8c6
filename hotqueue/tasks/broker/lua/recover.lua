-- After any error, and every ten seconds: refuse lost or late fetches from now on, and hand over what is held but not in hand.
-- KEYS 1 tasks 2 attempts 3 held:<worker> 4 workers 5 worker:<worker>
-- ARGV 1 worker 2 fetch number (the next) 3… ids in hand
-- Returns { alive, now, id, origin, attempts, envelope, … }, in the order of their places, in which they will be started; what comes
--   is stamped as fetched in that order under the new number.
local tasks, attempts, held, workers, worker = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local fetch = ARGV[2]
local now = now_ms()
if not redis.call('ZSCORE', workers, ARGV[1]) then return { 0, text(now) } end
may_grow(held)
may_grow(worker)
local in_hand = {}
for i = 3, #ARGV do in_hand[ARGV[i]] = true end
redis.call('HSET', worker, 'fetch', fetch)
local holds, found = redis.call('HGETALL', held), {}
for i = 1, #holds, 2 do
  if not in_hand[holds[i]] then
    local _, origin, place = split_held(holds[i + 1])
    found[#found + 1] = { id = holds[i], origin = origin, place = place, at = tonumber(place) or 0 }
  end
end
-- A place has 53 bits, as many as a number keeps; two are equal only where `seq` was deleted, and then stand as in a sorted set.
table.sort(found, function(a, b) return a.at < b.at or (a.at == b.at and a.id < b.id) end)
local out, behind, envelopes = { 1, text(now) }, 0, {}
for i = #found, 1, -1 do
  local each = found[i]
  envelopes[i] = redis.call('HGET', tasks, each.id)
  if envelopes[i] then
    redis.call('HSET', held, each.id, fetch .. ' ' .. each.origin .. ' ' .. each.place .. ' ' .. behind)
    behind = behind + 1
  else
    redis.call('HDEL', held, each.id)
  end
end
for i, each in ipairs(found) do
  if envelopes[i] then
    for _, v in ipairs({ each.id, each.origin, redis.call('HGET', attempts, each.id) or '', envelopes[i] }) do out[#out + 1] = v end
  end
end
return out
