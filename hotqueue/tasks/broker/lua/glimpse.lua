-- What people see of some tasks: what has happened to them, and their envelopes without the payloads. Writes nothing.
-- KEYS 1 tasks 2 attempts
-- ARGV their ids
-- Returns { history or '', envelope, '' for a task that is gone, … }: of the first of them, no more than are read at once, one at least.
local tasks, attempts = KEYS[1], KEYS[2]
local newer = newer_queue()
if newer then return newer end
local out, bytes = {}, 0
for i, id in ipairs(ARGV) do
  bytes = bytes + redis.call('HSTRLEN', tasks, id)
  if bytes > READ_BYTES and i > 1 then break end
  out[2 * i - 1] = redis.call('HGET', attempts, id) or ''
  out[2 * i] = without_payload(redis.call('HGET', tasks, id) or '')
end
return out
