-- After any error, and every ten seconds: close the door behind lost or late fetches, and hand over what is held but not in hand.
-- KEYS 1 tasks 2 attempts 3 held:<worker> 4 workers 5 worker:<worker>
-- ARGV 1 worker 2 fetch number (the next) 3… ids in hand
-- Returns { alive, now, id, origin, attempts, envelope, … }, in the order of their places, in which they will be started; what comes
--   is stamped as fetched in that order under the new number.
local now = now_ms()
if not redis.call('ZSCORE', KEYS[4], ARGV[1]) then return { 0, text(now) } end
may_grow(KEYS[3])
may_grow(KEYS[5])
local in_hand = {}
for i = 3, #ARGV do in_hand[ARGV[i]] = true end
redis.call('HSET', KEYS[5], 'fetch', ARGV[2])
local held, found = redis.call('HGETALL', KEYS[3]), {}
for i = 1, #held, 2 do
  if not in_hand[held[i]] then
    local _, origin, place = split_held(held[i + 1])
    found[#found + 1] = { id = held[i], origin = origin, place = place, at = tonumber(place) or 0 }
  end
end
-- A place has 53 bits, as many as a number keeps; two are equal only where `seq` was deleted, and then stand as in a sorted set.
table.sort(found, function(a, b) return a.at < b.at or (a.at == b.at and a.id < b.id) end)
local out, behind, envelopes = { 1, text(now) }, 0, {}
for i = #found, 1, -1 do
  local each = found[i]
  envelopes[i] = redis.call('HGET', KEYS[1], each.id)
  if envelopes[i] then
    redis.call('HSET', KEYS[3], each.id, ARGV[2] .. ' ' .. each.origin .. ' ' .. each.place .. ' ' .. behind)
    behind = behind + 1
  else
    redis.call('HDEL', KEYS[3], each.id)
  end
end
for i, each in ipairs(found) do
  if envelopes[i] then
    for _, v in ipairs({ each.id, each.origin, redis.call('HGET', KEYS[2], each.id) or '', envelopes[i] }) do out[#out + 1] = v end
  end
end
return out
