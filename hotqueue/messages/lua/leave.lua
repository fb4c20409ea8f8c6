-- Settle or give back what a consumer holds, and forget the consumer.
-- KEYS: 1 list, 2 consuming, 3 consumer, 4 came-back, 5 dead-messages, 6 consumers
-- ARGV: 1 turn, 2 fate: none, done, dead, back or charged, 3 consumer
-- Returns how many messages went back and how many are dead. Repeated: 0 and 0.
local last = redis.call('HGET', KEYS[3], 'turn')
if not last then
  return {0, 0}
end
local fate = ARGV[2]
if tonumber(last) >= tonumber(ARGV[1]) then
  fate = 'back' -- the turn was carried out, its reply lost: what is held is new, nobody has seen it
end
if fate == 'done' or fate == 'dead' then
  settle(KEYS[2], KEYS[4], KEYS[5], fate)
end
local moved = give_back(KEYS[1], KEYS[2], KEYS[4], KEYS[5], fate == 'charged')
redis.call('DEL', KEYS[3])
redis.call('ZREM', KEYS[6], ARGV[3])
return moved
