-- What is known of tasks to which something has happened: the values of `attempts`. Put behind the prelude.

-- A script makes its functions anew at each call. Those that few calls need are inside of one that makes them when it is asked:
-- of a step, which needs most of them hardly ever, they were a sixth of what a lone call costs Redis.
local made_history
local function history()
  if made_history then return made_history end
  local made = {}
  made_history = made

  -- attempts: 'retries deliveries need expires verdict', three numbers more once they are not all nought (shared lost width, see
  -- history.py), and then one line of JSON an error; in the table, `errors` are these lines, each with its newline in front. What a
  -- newer version has put behind the numbers stays there.
  function made.split(value)
    local head, rest = string.match(value or '', '^([^\n]*)(.*)$')
    local retries, deliveries, need, expires, verdict, more = string.match(head, '^(%d+) (%d+) (%S+) (%S+) (%S+)(.*)$')
    if not retries then retries, deliveries, need, expires, verdict, more = 0, 0, '-', '-', '-', '' end
    local shared, lost, width, unknown = string.match(more, '^ (%d+) (%d+) (%d+)(.*)$')
    return {
      retries = tonumber(retries), deliveries = tonumber(deliveries), need = need, expires = expires, verdict = verdict,
      shared = tonumber(shared or 0), lost = tonumber(lost or 0), width = tonumber(width or 0), unknown = unknown or '',
      errors = rest,
    }
  end

  function made.join(a)
    local head = text(a.retries) .. ' ' .. text(a.deliveries) .. ' ' .. a.need .. ' ' .. a.expires .. ' ' .. a.verdict
    if a.shared + a.lost + a.width > 0 or a.unknown ~= '' then
      head = head .. ' ' .. text(a.shared) .. ' ' .. text(a.lost) .. ' ' .. text(a.width) .. a.unknown
    end
    return head .. a.errors
  end

  -- How many suspects may run side by side with one, in one process. Each slot there takes a thread and six descriptors: so many
  -- start within the 256 that some systems allow.
  local SIDE_BY_SIDE = 32
  function made.width_of(attempts) return math.min(SIDE_BY_SIDE, math.max(1, made.split(attempts).width)) end

  -- Whether a process that runs so many side by side is for a suspect of this width. In one of less than half, all that wait would
  -- run more or less one by one, and wait for each other.
  function made.fits(own, width) return own >= width and own < 2 * width end

  -- What a worker is given of a task that was revoked while one had it in hand: it ends it, and does not run it.
  function made.as_revoked(attempts)
    local a = made.split(attempts)
    a.verdict = 'R'
    return made.join(a)
  end

  return made
end
