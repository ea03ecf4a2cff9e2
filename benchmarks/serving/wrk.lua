-- Sends pictures in turn, and counts the answers that come after the warm-up.
-- Arguments: file that lists the pictures, seconds of warm-up, seed of the starting place.
local ffi = require("ffi")
ffi.cdef[[
typedef struct { long seconds; long micros; } moment;
int gettimeofday(moment *now, void *zone);
]]
local moment = ffi.new("moment")
local function now()
  ffi.C.gettimeofday(moment, nil)
  return tonumber(moment.seconds) + tonumber(moment.micros) / 1e6
end

local threads = {}
function setup(thread) table.insert(threads, thread) end

local requests, at, warm_up, begun = {}, 0, 0, nil
counted, refused, last = 0, 0, 0

function init(args)
  for path in io.lines(args[1]) do
    local file = assert(io.open(path, "rb"))
    local body = file:read("*a")
    file:close()
    requests[#requests + 1] = wrk.format("POST", nil, { ["Content-Type"] = "image/jpeg" }, body)
  end
  warm_up, at = tonumber(args[2]), tonumber(args[3])
end

function request()
  begun = begun or now()
  at = at + 1
  return requests[at % #requests + 1]
end

function response(status)
  local passed = now() - begun
  if passed < warm_up then return end
  if status == 200 then counted, last = counted + 1, passed else refused = refused + 1 end
end

function done(summary, latency)
  local in_window, not_200 = 0, 0
  for _, thread in ipairs(threads) do
    in_window = in_window + thread:get("counted")
    not_200 = not_200 + thread:get("refused")
  end
  local errors = summary.errors
  print(string.format(
    'RESULT {"in_window": %d, "not_200": %d, "requests": %d, "duration_us": %d, "connect": %d, "read": %d, '
      .. '"write": %d, "status": %d, "timeout": %d, "p50_us": %d, "p95_us": %d, "p99_us": %d}',
    in_window, not_200, summary.requests, summary.duration, errors.connect, errors.read, errors.write,
    errors.status, errors.timeout, latency:percentile(50), latency:percentile(95), latency:percentile(99)))
end
