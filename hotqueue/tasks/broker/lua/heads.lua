-- The first task of each set in which tasks wait for a worker, as people see it. Writes nothing.
-- KEYS 1 tasks 2 ready 3 ready:async 4 suspects
-- Returns their envelopes without the payloads.
local tasks, ready, ready_async, suspects = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local newer = newer_queue()
if newer then return newer end
local out = {}
for _, set in ipairs({ ready, ready_async, suspects }) do
  local id = redis.call('ZRANGE', set, 0, 0)[1]
  local envelope = id and redis.call('HGET', tasks, id)
  if envelope then out[#out + 1] = without_payload(envelope) end
end
return out
