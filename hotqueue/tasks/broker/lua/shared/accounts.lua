-- Keeping `accounts` in order, now and then: made where one was pushed there that is the first, or one in a hundred.

local MOST_ACCOUNTS, FEWER = 1000, 100 -- that wait to be counted; how many go where nobody does that, or there are twenty times as many
local FOLDED_MS = 10000 -- after which nobody does
local STATISTICS_MS = 31708800000 -- as YEAR_MS

-- What is counted stands in front of what is not, so that nothing has to be moved, as many as `counted` says. While there is nothing else,
-- the list is called `ended`; the first that is told then brings it back. A key of the wrong type there stops no work.
local function look_after_accounts(tag, now, told, length)
  local accounts, ended, statistics = tag .. 'accounts', tag .. 'ended', tag .. 'statistics'
  if length == 1 then
    local before = redis.pcall('LLEN', ended)
    if type(before) == 'number' and before > 0 then
      if type(redis.pcall('HSET', statistics, 'counted', before)) == 'table' then return end
      redis.call('RENAME', ended, accounts)
      redis.call('PERSIST', accounts)
      redis.call('RPUSH', accounts, told)
    elseif redis.pcall('HDEL', statistics, 'counted', 'kept') == 0 then
      return
    end
    redis.pcall('HINCRBY', statistics, 'version', 1) -- whoever counts just now begins anew
    redis.pcall('PEXPIRE', statistics, STATISTICS_MS)
    return
  end
  local known = redis.pcall('HMGET', statistics, 'counted', 'folded')
  local counted, folded = tonumber(known[1]) or 0, tonumber(known[2]) or 0
  local waiting = length - counted
  if waiting <= MOST_ACCOUNTS or (waiting <= 20 * MOST_ACCOUNTS and now - folded < FOLDED_MS) then return end
  redis.call('LTRIM', accounts, counted + FEWER, -1)
  redis.pcall('HDEL', statistics, 'counted', 'kept')
  redis.pcall('HINCRBY', statistics, 'version', 1)
  redis.pcall('PEXPIRE', statistics, STATISTICS_MS)
end

