-- After any error, and every ten seconds: refuse lost or late fetches from now on, and hand over what is held but not in hand.
-- KEYS 1 tasks 2 attempts 3 held:<worker> 4 workers 5 worker:<worker> 6 owned
-- ARGV 1 worker 2 fetch number (the next) 3… ids in hand
-- Returns { alive, now, ids, each with a newline behind it, of each the set it came from, attempts of each, envelope, … }, in the order
--   of their places, in which they will be started; what comes is held as fetched in that order under the new number.
local tasks, attempts, held, workers, worker = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local owned = KEYS[6]
local fetch = ARGV[2]
local now = now_ms()
local score = redis.call('ZSCORE', workers, ARGV[1])
if not score then return { 0, text(now) } end
may_grow(held)
may_grow(worker)
local in_hand = {}
for i = 3, #ARGV do in_hand[ARGV[i]] = true end
if tonumber(redis.call('HGET', worker, 'fetch') or '0') then redis.call('HSET', worker, 'fetch', fetch) end -- see upgrade.lua
local found, fields = {}, {}
holds().each_held(held, function(id, origin, place, _, _, field)
  if not in_hand[id] then
    found[#found + 1] = { id = id, origin = origin, place = place, at = tonumber(place) }
    fields[field] = true
  end
end)
-- A place has 53 bits, as many as a number keeps; two are equal only where `seq` was deleted, and then stand as in a sorted set.
table.sort(found, function(a, b) return a.at < b.at or (a.at == b.at and a.id < b.id) end)
local out, ids, heads, origins, histories = { 1, text(now) }, {}, {}, {}, {}
for _, each in ipairs(found) do
  local envelope = redis.call('HGET', tasks, each.id)
  if envelope then
    local n = #ids + 1
    ids[n], heads[n], origins[n] = each.id, head_of(each.origin, each.place), each.origin
    histories[n] = redis.call('HGET', attempts, each.id) or ''
    out[5 + n] = envelope
  end
end
if #ids > 0 and redis.call('EXISTS', owned) == 1 then owning(owned, now).as_wanted(ids, histories) end
holds().let_go_but(held, fields, in_hand) -- only now: what is of the wrong type has stopped us before
if #ids == 0 then return out end
hold(held, fetch, heads, ids)
begin_lease(workers, ARGV[1], score, now, redis.call('HGET', worker, 'lease'))
out[3], out[4], out[5] = table.concat(ids, '\n') .. '\n', table.concat(origins), histories
return out
