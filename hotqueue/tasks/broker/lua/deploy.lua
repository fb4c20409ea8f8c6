-- Note that a version of the code was deployed.
-- KEYS 1 deploys
-- ARGV 1 version 2 who says so 3 '1': only if the last one was of another version 4 how many are kept 5 for how many ms
-- Returns 1, or 0 where that version is the last one already.
local deploys = KEYS[1]
local wrong = newer_queue() or must_be('list', deploys)
if wrong then return wrong end
local version, who, is_if_new = ARGV[1], ARGV[2], ARGV[3] == '1'
if is_if_new then
  local fine, last = pcall(cjson.decode, redis.call('LINDEX', deploys, -1) or '')
  if fine and type(last) == 'table' and last.version == version then return 0 end
end
redis.call('RPUSH', deploys, cjson.encode({ at = now_ms(), version = version, who = who }))
redis.call('LTRIM', deploys, 0 - ARGV[4], -1)
redis.call('PEXPIRE', deploys, ARGV[5])
return 1
