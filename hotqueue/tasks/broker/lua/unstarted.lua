-- Whether a task may not have been started yet: nobody has it in hand, a sync worker fetched it together with others, or it had been
-- revoked by then. Writes nothing.
-- KEYS held:<worker> of each worker
-- ARGV 1 id
-- Returns 1 or 0.
for _, held in ipairs(KEYS) do
  local value = redis.call('HGET', held, ARGV[1])
  if value then
    if string.sub(value, -1) == 'r' then return 1 end
    local _, origin, _, behind = split_held(value)
    return (origin ~= 'a' and origin ~= 'y' and behind ~= '' and redis.call('HLEN', held) > 1) and 1 or 0
  end
end
return 1
