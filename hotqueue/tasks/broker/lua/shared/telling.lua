-- Having it counted what a script itself does to tasks, in one piece for all of a call; put behind without_payload.

-- what: 'lost', 'revoked', 'expired'. The key is found by name, as parked sets are.
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
    local told = table.concat(parts)
    local length = redis.pcall('RPUSH', tag .. 'accounts', told)
    parts = {}
    if type(length) == 'number' and (length == 1 or length % 100 == 0) then
      -- include accounts
      look_after_accounts(tag, now, told, length)
    end
  end

  return made
end
