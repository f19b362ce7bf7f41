-- Reserve the instant of the next request (GCRA, reservation form).
-- KEYS[1]  the latest reserved instant, µs
-- KEYS[2]  no request before this instant, µs; there only while somebody holds the connection
-- ARGV[1]  interval between two requests, µs
-- ARGV[2]  how long an idle bucket is kept, ms
-- Returns how long the caller has to wait, µs. The instant is the caller's alone, used or not.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local bucket = redis.call('MGET', KEYS[1], KEYS[2])
-- A bucket that was lost may have admitted somebody just now, so the first request waits one whole interval.
local at = math.max(now, (bucket[1] or now) + ARGV[1], tonumber(bucket[2] or 0))
redis.call('SET', KEYS[1], string.format('%.0f', at), 'PX', string.format('%.0f', (at - now) / 1000 + ARGV[2]))
return string.format('%.0f', at - now)
