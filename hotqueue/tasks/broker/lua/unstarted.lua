-- Whether a task may not have been started yet: nobody has it in hand, a sync worker fetched it together with others, or it had been
-- revoked by then. Writes nothing.
-- KEYS held:<worker> of each worker
-- ARGV 1 id
-- Returns 1 or 0.
local id = ARGV[1]
for _, held in ipairs(KEYS) do
  local found = holds().find_held(held, id)
  if found then
    if found.was_revoked then return 1 end
    local may_wait = string.find('sgxk', found.origin, 1, true) and found.behind < STARTED
    return (may_wait and holds().each_id(held) > 1) and 1 or 0
  end
end
return 1
