-- Reserve the instant of the next request (GCRA, reservation form).
-- KEYS[1]  the connection's bucket: a hash of `last` (the latest reserved instant) and `hold` (no request before), µs
-- ARGV[1]  interval between two requests, µs
-- ARGV[2]  how long an idle bucket is kept, ms
-- Returns how long the caller has to wait, µs. The instant is the caller's alone, used or not.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval = tonumber(ARGV[1])
local bucket = redis.call('HMGET', KEYS[1], 'last', 'hold')
-- A bucket that was lost may have admitted somebody just now, so the first request waits one whole interval.
local last = tonumber(bucket[1] or now)
local at = math.max(now, last + interval, tonumber(bucket[2] or 0))
redis.call('HSET', KEYS[1], 'last', string.format('%.0f', at))
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', (at - now) / 1000 + tonumber(ARGV[2])))
return string.format('%.0f', at - now)
