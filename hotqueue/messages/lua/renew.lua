-- Renew the leases of consumers that still exist.
-- KEYS: 1 consumers, 2… consumer    ARGV: 1 lease in ms, 2… consumer, in the order of KEYS
-- Returns how many exist. Repeated: the same, with a later deadline.
local now = redis.call('TIME')
local deadline = string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000) + ARGV[1])
local found = 0
for place = 2, #KEYS do
  if redis.call('EXISTS', KEYS[place]) == 1 then
    redis.call('ZADD', KEYS[1], deadline, ARGV[place])
    found = found + 1
  end
end
return found
