-- The schedules whose slots have come: some of them, no more than are read at once.
-- KEYS 1 schedules 2 schedules:states 3 schedules:next 4 schedules:declarers
-- ARGV 1 how many at most 2 a number at random: of more, some from there on, so that not all who ask are told of the same
-- Returns { now, ms until the next slot (-1: none), { who declares schedules, and lives }, name, row, state, … }
local schedules, schedules_states, schedules_next, schedules_declarers = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local most, start = tonumber(ARGV[1]), tonumber(ARGV[2])
local wrong = newer_queue() or must_be('hash', schedules, schedules_states) or must_be('zset', schedules_next, schedules_declarers)
if wrong then return wrong end
local now = now_ms()
local first = redis.call('ZRANGE', schedules_next, 0, 0, 'WITHSCORES')
local left = first[2] and math.max(0, tonumber(first[2]) - now) or -1
local out = { text(now), left < 0 and -1 or math.ceil(left), redis.call('ZRANGEBYSCORE', schedules_declarers, text(now), '+inf') }
if left ~= 0 or most == 0 then return out end
local count, bytes = redis.call('ZCOUNT', schedules_next, '-inf', text(now)), 0
local from = count > most and start % (count - most + 1) or 0
for _, name in ipairs(redis.call('ZRANGEBYSCORE', schedules_next, '-inf', text(now), 'LIMIT', from, most)) do
  local row, state = redis.call('HGET', schedules, name), redis.call('HGET', schedules_states, name)
  if row and state then
    local at = #out
    out[at + 1], out[at + 2], out[at + 3] = name, row, state
    bytes = bytes + #row
    if bytes > READ_BYTES then break end
  else
    redis.call('ZREM', schedules_next, name) -- somebody else removed it
  end
end
return out
