-- Undo a pop: its message goes back to the head, and its number is refused should the pop arrive late.
-- KEYS: 1 list, 2 taken    ARGV: 1 number of the pop under the mark, 2 seconds the mark is kept
-- Returns how many messages went back. Repeated: 0.
local number, message = unpack(redis.call('LRANGE', KEYS[2], 0, 1))
redis.call('DEL', KEYS[2]) -- frees memory first, so a full server lets the rest pass
local mine = number == ARGV[1] and message
if mine then
  redis.call('LPUSH', KEYS[1], message)
end
redis.call('RPUSH', KEYS[2], ARGV[1])
redis.call('EXPIRE', KEYS[2], ARGV[2])
return mine and 1 or 0
