-- Remove the oldest message under a mark, so that a lost reply or a cancelled reader can be made good.
-- KEYS: 1 list, 2 taken    ARGV: 1 number of this pop under the mark, 2 seconds the mark is kept, 3 "1" when repeated
-- Returns the message; nil when there is none; 0 when this pop was refused.
-- Repeated with the same number: the same message.
local number, message = unpack(redis.call('LRANGE', KEYS[2], 0, 1))
if number and tonumber(number) >= tonumber(ARGV[1]) then
  return number == ARGV[1] and message or 0
end
message = redis.call('LPOP', KEYS[1])
if message or ARGV[3] == '1' then -- repeated and nothing there: the first one may still be on its way, refuse it
  redis.call('DEL', KEYS[2])
  redis.call('RPUSH', KEYS[2], ARGV[1], message or nil)
  redis.call('EXPIRE', KEYS[2], ARGV[2])
end
return message
