-- Say who consumes a queue. Writes nothing.
-- KEYS: 1 consumers
-- Returns for each, at most 1,000: the consumer, and how many ms its lease still runs (negative: it has ended).
local now = redis.call('TIME')
local ms = now[1] * 1000 + math.floor(now[2] / 1000)
local roster = redis.call('ZRANGE', KEYS[1], 0, 999, 'WITHSCORES')
for place = 2, #roster, 2 do
  roster[place] = math.floor(tonumber(roster[place]) - ms)
end
return roster
