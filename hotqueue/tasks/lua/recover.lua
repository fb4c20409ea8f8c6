-- After any error, and every ten seconds: close the door behind lost or late fetches, and hand over what is held but not in hand.
-- KEYS 1 tasks 2 attempts 3 held:<worker> 4 workers 5 worker:<worker>
-- ARGV 1 worker 2 fetch number (the next) 3… ids in hand
-- Returns { alive, now, id, origin, attempts, envelope, … }; what comes is stamped with the new number.
local now = now_ms()
if not redis.call('ZSCORE', KEYS[4], ARGV[1]) then return { 0, text(now) } end
may_grow(KEYS[5])
local in_hand = {}
for i = 3, #ARGV do in_hand[ARGV[i]] = true end
redis.call('HSET', KEYS[5], 'fetch', ARGV[2])
local out = { 1, text(now) }
local held = redis.call('HGETALL', KEYS[3])
for i = 1, #held, 2 do
  local id = held[i]
  if not in_hand[id] then
    local _, origin, place = split_held(held[i + 1])
    local envelope = redis.call('HGET', KEYS[1], id)
    if envelope then
      redis.call('HSET', KEYS[3], id, ARGV[2] .. ' ' .. origin .. ' ' .. place)
      for _, v in ipairs({ id, origin, redis.call('HGET', KEYS[2], id) or '', envelope }) do out[#out + 1] = v end
    else
      redis.call('HDEL', KEYS[3], id)
    end
  end
end
return out
