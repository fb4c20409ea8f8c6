-- Say that somebody declares schedules, and lives; or that it does so no more.
-- KEYS 1 schedules:declarers
-- ARGV 1 who: its version of them, a blank, and more about it 2 ms for which it counts as alive; 0: no more
-- Returns { now, 1 if it counted as alive before, { who else declares schedules, and lives }, how many were forgotten that did a day ago }
-- Who died is remembered for a day, so that its schedules are kept for so long; one of each version will do.
local schedules_declarers, who, alive = KEYS[1], ARGV[1], tonumber(ARGV[2])
local AT_ONCE, DAY = 100, 86400000
local wrong = newer_queue() or must_be('zset', schedules_declarers)
if wrong then return wrong end
redis.call('ZREM', schedules_declarers, '') -- as may_grow
local now = now_ms()
local before = tonumber(redis.call('ZSCORE', schedules_declarers, who) or 0)
redis.call('ZADD', schedules_declarers, text(now + alive - 1), who)
local version = string.match(who, '^%S*')
for _, other in ipairs(redis.call('ZRANGEBYSCORE', schedules_declarers, '(' .. text(now - DAY), '(' .. text(now), 'LIMIT', 0, AT_ONCE)) do
  if other ~= who and string.match(other, '^%S*') == version then redis.call('ZREM', schedules_declarers, other) end
end
local others = {}
for _, other in ipairs(redis.call('ZRANGEBYSCORE', schedules_declarers, text(now), '+inf')) do
  if other ~= who then others[#others + 1] = other end
end
local forgotten = redis.call('ZREMRANGEBYSCORE', schedules_declarers, '-inf', text(now - DAY))
redis.call('PEXPIRE', schedules_declarers, 2 * DAY)
return { text(now), before >= now and 1 or 0, others, forgotten }
