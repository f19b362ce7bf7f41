-- Hold a connection, or one of its lanes, back: no request before now + delay. The longest hold stands until it is over.
-- KEYS[1]  no request before this instant, µs, and when that was said
-- ARGV[1]  delay, µs
-- ARGV[2]  longest hold, µs
-- Returns how long the hold lasts, µs.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local latest = now + ARGV[2]
local value = redis.pcall('GET', KEYS[1])
local held, said = string.match(type(value) == 'string' and value or '', '^(%d+):?(%d*)$')
held, said = tonumber(held) or 0, tonumber(said) or 0
-- What lies further ahead than any hold can, or was said later than now, was written by a clock that was wrong.
if held > latest or said > now then held = 0 end
local till = math.max(math.min(now + ARGV[1], latest), held)
local ttl = string.format('%.0f', math.max(1, (till - now) / 1000 + 1))
redis.call('SET', KEYS[1], string.format('%.0f:%.0f', till, now), 'PX', ttl)
return string.format('%.0f', till - now)
