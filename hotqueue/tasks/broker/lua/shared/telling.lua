-- Having it counted what a script itself does to tasks, in one piece for all of a call; put behind without_payload.

-- what: 'lost', 'revoked', 'expired'. The key is found by name, as parked sets are.
local MOST_ACCOUNTS, FEWER, FOLDED_MS = 1000, 100, 10000 -- as in step.lua
local function telling(tag, now)
  local made, parts = {}, {}

  function made.add(what, envelope)
    if not envelope then return end
    local head = without_payload(envelope)
    parts[#parts + 1] = struct.pack('>BI4I4BI4', 2, math.floor(now / 4294967296), now % 4294967296, #what, #head) .. what .. head
  end

  -- A key of the wrong type there stops no work.
  function made.commit()
    if #parts == 0 then return end
    local length = redis.pcall('RPUSH', tag .. 'accounts', table.concat(parts))
    parts = {}
    if type(length) == 'number' and length > MOST_ACCOUNTS then
      local folded = redis.pcall('HGET', tag .. 'statistics', 'folded')
      if length <= 20 * MOST_ACCOUNTS and type(folded) == 'string' and now - (tonumber(folded) or 0) < FOLDED_MS then return end
      redis.call('LTRIM', tag .. 'accounts', FEWER, -1)
      redis.pcall('HINCRBY', tag .. 'statistics', 'version', 1)
      redis.pcall('PEXPIRE', tag .. 'statistics', 31708800000)
    end
  end

  return made
end
