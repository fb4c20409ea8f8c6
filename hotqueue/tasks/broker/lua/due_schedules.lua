-- The schedules whose slots have come: some of them, no more than are read at once. Of more, where some came long ago, half are those
-- that came last: what nobody can fire stays among the others, and is not to hold up what comes.
-- KEYS 1 schedules 2 schedules:states 3 schedules:next 4 schedules:declarers
-- ARGV 1 how many at most 2 a number at random: of more, those (or the other half) from there on, so that not all who ask are told of the same
-- Returns { now, ms until the next slot (-1: none), until the first that has not come, { who declares schedules, and lives },
--           name, row, state, … }
local schedules, schedules_states, schedules_next, schedules_declarers = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local most, start = tonumber(ARGV[1]), tonumber(ARGV[2])
local LONG_AGO = 5000 -- ms
local wrong = newer_queue() or must_be('hash', schedules, schedules_states) or must_be('zset', schedules_next, schedules_declarers)
if wrong then return wrong end
local now = now_ms()
local first = redis.call('ZRANGE', schedules_next, 0, 0, 'WITHSCORES')
local left = first[2] and math.max(0, tonumber(first[2]) - now) or -1
left = left < 0 and -1 or math.ceil(left)
local out = { text(now), left, left, redis.call('ZRANGEBYSCORE', schedules_declarers, text(now), '+inf') }
if left ~= 0 then return out end
local count, bytes = redis.call('ZCOUNT', schedules_next, '-inf', text(now)), 0
local following = redis.call('ZRANGE', schedules_next, count, count, 'WITHSCORES')
out[3] = following[2] and math.ceil(tonumber(following[2]) - now) or -1
if most == 0 then return out end

local function due(from, to) return redis.call('ZRANGE', schedules_next, from, to) end
local others = count <= most and 0 or tonumber(first[2]) > now - LONG_AGO and most or math.floor(most / 2)
local names = due(math.max(0, count - most + others), count - 1)
if others > 0 then
  local from = start % (count - most + 1)
  for _, name in ipairs(due(from, from + others - 1)) do names[#names + 1] = name end
end
for _, name in ipairs(names) do
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
