-- Whether a task of some name may still be started by workers that have it in hand: a sync one fetched it together with others. Writes nothing.
-- KEYS 1 tasks 2… held:<worker> of some workers
-- ARGV 1 the name
-- Returns 1 or 0.
local tasks, name = KEYS[1], ARGV[1]
local task_of = pausing(string.sub(tasks, 1, -6)).task_of

local function may_start(held)
  local ids = {}
  local number = holds().each_id(held)
  if number < 2 then return false end
  holds().each_held(held, function(id, origin, _, _, behind)
    if behind < STARTED and string.find('sgxk', origin, 1, true) then ids[#ids + 1] = id end
  end)
  for _, id in ipairs(ids) do
    local envelope = redis.call('HGET', tasks, id)
    if envelope and task_of(envelope) == name then return true end
  end
  return false
end

for n = 2, #KEYS do
  if may_start(KEYS[n]) then return 1 end
end
return 0
