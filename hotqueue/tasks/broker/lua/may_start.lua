-- Whether a task that is paused may still be started by workers that have it in hand: a sync one fetched it together with others. Writes nothing.
-- KEYS 1 tasks 2… held:<worker> of some workers
-- ARGV 1 what is paused: 'task:<name>', or 'k:<key>' of gates
-- Returns 1 or 0.
local tasks, what = KEYS[1], ARGV[1]
local name, key = string.match(what, '^task:(.*)$'), string.match(what, '^k:.*$')
local task_of = pausing(string.sub(tasks, 1, -6)).task_of

-- The gates of a task are what its call header begins with, behind two bytes of length: see gates.lua.
local function has_key(envelope)
  if #envelope < 28 or math.floor(string.byte(envelope, 4) / 8) % 2 == 0 then return false end
  local header, _, id = struct.unpack('>I4I4B', envelope, 17)
  local at = 26 + header + id
  local lines = string.sub(envelope, at + 2, at + 1 + struct.unpack('>I2', envelope, at)) .. '\n'
  return string.find(lines, ' ' .. key .. '\n', 1, true) ~= nil
end

local function may_start(held)
  local ids = {}
  local number = holds().each_id(held)
  if number < 2 then return false end
  holds().each_held(held, function(id, origin, _, _, behind)
    if behind < STARTED and string.find('sgxk', origin, 1, true) then ids[#ids + 1] = id end
  end)
  for _, id in ipairs(ids) do
    local envelope = redis.call('HGET', tasks, id)
    if envelope and (name and task_of(envelope) == name or key and has_key(envelope)) then return true end
  end
  return false
end

for n = 2, #KEYS do
  if may_start(KEYS[n]) then return 1 end
end
return 0
