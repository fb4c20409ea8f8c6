-- Whether a task may not have been started yet: nobody has it in hand, a sync worker fetched it together with others, or it had been
-- revoked by then. Writes nothing.
-- KEYS held:<worker> of each worker
-- ARGV 1 id
-- Returns 1 or 0.
local id = ARGV[1]
for _, held in ipairs(KEYS) do
  local count, may_wait = 0, nil
  each_held(held, function(each, origin, _, was_revoked, behind)
    count = count + 1
    if each == id then may_wait = was_revoked or ((origin == 's' or origin == 'x') and behind < STARTED and 'behind others') end
  end)
  if may_wait ~= nil then return (may_wait == true or (may_wait and count > 1)) and 1 or 0 end
end
return 1
