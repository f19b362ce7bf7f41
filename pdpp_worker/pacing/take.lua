-- Take the turn of a request that is about to go out, or say how long it has to wait
-- (GCRA, ITU-T I.371, virtual scheduling without burst tolerance).
-- KEYS[1]  the last request of the connection, µs
-- KEYS[2]  the last request of the lane, µs
-- KEYS[3]  no request of the connection before this instant, µs, and when that was said; there only while it is held
-- KEYS[4]  the same for the lane
-- ARGV[1]  shortest time between two requests of the connection, µs
-- ARGV[2]  time between two requests of the lane, µs
-- ARGV[3]  longest hold, µs
-- ARGV[4]  how long an idle bucket is kept, ms
-- Returns 0 when the request may go out now, which is then the last one; else how long to wait before asking again, µs.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

-- An instant that cannot be one (no number, or further ahead than `latest`) is taken for lost.
local function instant(key, latest)
  local value = redis.pcall('GET', key)
  local at = tonumber(type(value) == 'string' and value)
  if at and at >= 0 and at <= latest then return at end
end

-- A hold that was said later than now was written before the clock was set back.
local function hold(key)
  local value = redis.pcall('GET', key)
  local till, said = string.match(type(value) == 'string' and value or '', '^(%d+):?(%d*)$')
  till, said = tonumber(till), tonumber(said) or 0
  return till and till <= now + ARGV[3] and said <= now and till or 0
end

local function note(key)
  redis.call('SET', key, string.format('%.0f', now), 'PX', ARGV[4])
end

local last = instant(KEYS[1], now)
if not last then
  -- A bucket that was lost may have admitted somebody just now, so it costs one whole interval.
  note(KEYS[1])
  note(KEYS[2])
  return string.format('%.0f', math.max(ARGV[1], ARGV[2]))
end
local lane = instant(KEYS[2], now) or 0
local due = math.max(last + ARGV[1], lane + ARGV[2], hold(KEYS[3]), hold(KEYS[4]))
if due > now then return string.format('%.0f', due - now) end
note(KEYS[1])
note(KEYS[2])
return '0'
