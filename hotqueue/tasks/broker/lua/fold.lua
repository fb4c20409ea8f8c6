-- Put what accounts tell into the statistics: rows that somebody has counted, if nobody else has done so since he read them.
-- KEYS 1 accounts 2 ended 3 statistics 4 enqueued
-- ARGV 1 version of the statistics that was read 2 of each account that was counted, '1' if it tells of a task that has ended, else '0' 3 ms for which they are kept as those of ended tasks (0:
--      they are not) 4 how many of these go, the oldest first 5 ms for which statistics are kept 6 how many fields of enqueued were counted,
--      then each with its number, then fields of statistics, each with its row
-- Returns 1, or 0 where somebody else was first, and nothing was done.
-- What was counted stays where it stands, and goes through no hands: see shared/accounts.lua.
local accounts, ended, statistics, enqueued = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local read, keep_ms, dropped, fields = #ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[6])
local wrong = newer_queue() or must_be('list', accounts, ended) or must_be('hash', statistics, enqueued)
if wrong then return wrong end
may_grow(statistics)
local known = redis.call('HMGET', statistics, 'version', 'counted')
if (known[1] or '0') ~= ARGV[1] then return 0 end
local before = tonumber(known[2]) or 0
local counted = before + read
if keep_ms == 0 then
  redis.call('LTRIM', accounts, counted, -1)
  redis.call('DEL', ended)
  counted = 0
elseif read > 0 then
  for n = 1, read do
    if string.byte(ARGV[2], n) == 48 then redis.call('LSET', accounts, before + n - 1, '') end
  end
  if dropped > 0 then redis.call('LTRIM', accounts, dropped, -1) end
  counted = counted - dropped
  if redis.call('LLEN', accounts) == counted and counted > 0 then
    redis.call('RENAME', accounts, ended)
    redis.call('PEXPIRE', ended, keep_ms)
    counted = 0
  end
end
for at = 7, 5 + 2 * fields, 2 do
  local left = redis.pcall('HINCRBY', enqueued, ARGV[at], 0 - ARGV[at + 1])
  if type(left) == 'table' or left <= 0 then redis.call('HDEL', enqueued, ARGV[at]) end -- a table: no number stood there
end
for at = 7 + 2 * fields, #ARGV, MOST do
  redis.call('HSET', statistics, unpack(ARGV, at, math.min(at + MOST - 1, #ARGV)))
end
redis.call('HSET', statistics, 'folded', text(now_ms()), 'counted', counted)
redis.call('HINCRBY', statistics, 'version', 1)
redis.call('PEXPIRE', statistics, ARGV[5])
return 1
