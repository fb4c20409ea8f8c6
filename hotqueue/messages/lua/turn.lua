-- Settle the message a consumer holds and take the next: one turn of the loop.
-- KEYS: 1 list, 2 consuming, 3 consumer, 4 came-back, 5 dead-messages    ARGV: 1 turn, 2 fate: none, done or dead
-- Returns the next message; nil when there is none; 0 when the consumer was given up.
-- Repeated with the same turn: changes nothing more and answers the same.
local last = redis.call('HGET', KEYS[3], 'turn')
if not last then
  return 0
end
if tonumber(last) >= tonumber(ARGV[1]) then
  return redis.call('LINDEX', KEYS[2], 0)
end
redis.call('LLEN', KEYS[1]) -- another type of key: an error before anything is written
if ARGV[2] ~= 'none' then
  settle(KEYS[2], KEYS[4], KEYS[5], ARGV[2])
end
local message = redis.call('LPOP', KEYS[1])
if message then
  redis.call('RPUSH', KEYS[2], message)
end
redis.call('HDEL', KEYS[3], '-') -- a full server lets writes pass after one that it allows
redis.call('HSET', KEYS[3], 'turn', ARGV[1]) -- even of nothing: this turn, sent twice, must not take twice
return message
