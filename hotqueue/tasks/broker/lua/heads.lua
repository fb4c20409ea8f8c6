-- The first tasks of each set in which tasks wait for a worker, as people see them. Writes nothing.
-- KEYS 1 tasks 2 ready 3 ready:async 4 suspects
-- ARGV 1 how many lanes are looked at, where the first of each priority is wanted; else there is none, and that of each set alone is
-- Returns their envelopes without the payloads.
local tasks, ready, ready_async, suspects = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local newer = newer_queue()
if newer then return newer end
local out, lanes = {}, ARGV[1]
local function take_first(set)
  local least = '-inf'
  for _ = 1, lanes and 201 or 1 do -- as many as there are priorities
    local found = redis.call('ZRANGEBYSCORE', set, least, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    local envelope = found[1] and redis.call('HGET', tasks, found[1])
    if envelope then out[#out + 1] = without_payload(envelope) end
    if not found[1] or tonumber(found[2]) == math.huge then return end
    least = text((math.floor(tonumber(found[2]) / BAND) + 1) * BAND)
  end
end
for _, set in ipairs({ ready, ready_async, suspects }) do take_first(set) end
if lanes then
  local tag = string.sub(tasks, 1, -#'tasks' - 1)
  for _, lane in ipairs(redis.call('SRANDMEMBER', tag .. 'lanes', lanes)) do take_first(tag .. 'lane:' .. lane) end
end
return out
