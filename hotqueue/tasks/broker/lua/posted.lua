-- What waits in the outbox for a queue, the lowest numbers first: no more than is read at once, one at least. Writes nothing.
-- KEYS 1 outbox 2 posted:<queue>
-- ARGV 1 queue 2 how many at most
-- Returns { the number before which all has been struck, entry, number, … }.
local outbox, posted = KEYS[1], KEYS[2]
local newer = newer_queue()
if newer then return newer end
local AT_ONCE = 50 -- that are looked at, to see how large they are
local floor = string.match(redis.call('HGET', outbox, ARGV[1]) or '', '^%d+$') or '0' -- what is no number is not ours
local out, bytes, most = { floor }, 0, tonumber(ARGV[2])
for first = 0, most - 1, AT_ONCE do
  local line = redis.call('ZRANGE', posted, first, math.min(first + AT_ONCE, most) - 1, 'WITHSCORES')
  for i = 1, #line, 2 do
    bytes = bytes + #line[i]
    if bytes > READ_BYTES and #out > 1 then return out end
    out[#out + 1], out[#out + 2] = line[i], line[i + 1]
  end
  if #line < 2 * AT_ONCE then break end
end
return out
