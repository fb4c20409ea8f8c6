-- Swap a queue that was written beside its place in, all of it at once.
-- KEYS: the list, then key by key of the queue    ARGV: 1 'replace' or '', then for each of those keys its ms to live, -1: for
-- ever, '': nothing is to be there (a key of the queue that is replaced)
-- Returns 1, or the first key in the way. An error when a part has gone that was to live for ever; then nothing was changed.
local coming = {}
for i = 2, #KEYS do
  local from = staged(KEYS[1], 'import', KEYS[i])
  if ARGV[i] ~= '' then
    if redis.call('EXISTS', from) == 1 then
      coming[#coming + 1] = { from, KEYS[i], ARGV[i] }
    elseif ARGV[i] == '-1' then
      return redis.error_reply('ERR ' .. from .. ' has expired')
    end
  end
  if ARGV[1] == '' and redis.call('EXISTS', KEYS[i]) == 1 then return KEYS[i] end
end
for _, key in ipairs(indexed(KEYS[1])) do redis.call('UNLINK', key) end
for i = 2, #KEYS do redis.call('UNLINK', KEYS[i]) end
for _, each in ipairs(coming) do
  redis.call('RENAME', each[1], each[2])
  if each[3] == '-1' then redis.call('PERSIST', each[2]) else redis.call('PEXPIRE', each[2], each[3]) end
end
return 1
