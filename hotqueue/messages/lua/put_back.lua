-- Give back what a dead consumer held, charging it, and forget the consumer.
-- KEYS: 1 list, 2 consuming, 3 consumer, 4 came-back, 5 dead-messages, 6 consumers
-- ARGV: 1 consumer, 2 "dead" when its process is known to be, "lease" when only its lease tells
-- A lease that would run for longer than any (120 s) is from before the clock was put back: it keeps nobody.
-- Returns how many messages went back and how many are dead. Repeated, or too early: 0 and 0.
local deadline = redis.call('ZSCORE', KEYS[6], ARGV[1])
if not deadline then
  return {0, 0}
end
local now = redis.call('TIME')
local left = tonumber(deadline) - now[1] * 1000 - math.floor(now[2] / 1000)
if ARGV[2] == 'lease' and left > 0 and left <= 120000 then
  return {0, 0}
end
local moved = give_back(KEYS[1], KEYS[2], KEYS[4], KEYS[5], true)
redis.call('DEL', KEYS[3])
redis.call('ZREM', KEYS[6], ARGV[1])
return moved
