-- What people see of an envelope. Put in front of what shows tasks.

-- All of it that is in front of the payload: 25 bytes, three of them lengths, then the id and two headers.
local function without_payload(envelope)
  if #envelope < 26 then return envelope end
  local header, call, its_id = struct.unpack('>I4I4B', envelope, 17)
  return string.sub(envelope, 1, 25 + its_id + header + call)
end
