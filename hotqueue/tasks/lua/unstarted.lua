-- Whether a task may be in a worker's hand unstarted: fetched by a sync worker, together with others. Writes nothing.
-- KEYS held:<worker> of each worker
-- ARGV 1 id
-- Returns 1 or 0.
for _, held in ipairs(KEYS) do
  local value = redis.call('HGET', held, ARGV[1])
  if value then
    local _, origin, _, behind = split_held(value)
    return (origin ~= 'a' and origin ~= 'y' and behind ~= '' and redis.call('HLEN', held) > 1) and 1 or 0
  end
end
return 0
