-- What wrk sends. Called as
--   wrk … -s requests.lua URL -- THREADS [WEIGHT FILE]…
-- Each file holds requests of one kind, a line each: METHOD, path, cookie or "-", further headers or "-", body or "-",
-- separated by tabs; further headers are "name: value", several joined by "; ". One file after the other is picked by
-- weight; within a file the requests come in order. A file whose name ends in ".once.tsv" is shared out among the
-- threads, so that no request of it is sent twice as long as it lasts. Where ADDRESSES in the environment names several
-- servers, the threads take turns to have one of them each.

-- What a current browser sends beside it.
local browser = table.concat({
  "Host: 127.0.0.1",
  "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
  "Accept: application/json",
  "Accept-Encoding: gzip, deflate, br",
  "Accept-Language: en-GB,en;q=0.9",
  'Sec-CH-UA: "Chromium";v="142", "Google Chrome";v="142", "Not_A Brand";v="99"',
  "Sec-CH-UA-Mobile: ?0",
  'Sec-CH-UA-Platform: "Linux"',
  "Sec-Fetch-Dest: empty",
  "Sec-Fetch-Mode: cors",
  "Sec-Fetch-Site: same-origin",
}, "\r\n")

local threads = 0
local addresses = {}

function setup(thread)
  thread:set("number", threads)
  if threads == 0 then
    for host, port in (os.getenv("ADDRESSES") or ""):gmatch("(%S+):(%d+)") do
      addresses[#addresses + 1] = wrk.lookup(host, port)[1]
    end
  end
  if #addresses > 1 then thread.addr = addresses[threads % #addresses + 1] end
  threads = threads + 1
end

local function text_of(line)
  local method, path, cookie, headers, body = line:match("^([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t(.*)$")
  local head = method .. " " .. path .. " HTTP/1.1\r\n" .. browser .. "\r\n"
  if cookie ~= "-" then head = head .. "Cookie: " .. cookie .. "\r\n" end
  if headers ~= "-" then head = head .. headers:gsub("; ", "\r\n") .. "\r\n" end
  if body == "-" then return head .. "\r\n" end
  return head .. "Content-Type: application/json\r\nContent-Length: " .. #body .. "\r\n\r\n" .. body
end

local kinds = {}

function init(arguments)
  local count = tonumber(arguments[1])
  math.randomseed(number + 1)
  local total = 0
  for at = 2, #arguments, 2 do
    local name = arguments[at + 1]
    local once = name:match("%.once%.tsv$") ~= nil
    local texts, line_number = {}, 0
    for line in io.lines(name) do
      if not once or line_number % count == number then texts[#texts + 1] = text_of(line) end
      line_number = line_number + 1
    end
    total = total + tonumber(arguments[at])
    kinds[#kinds + 1] = {
      upto = total,
      texts = texts,
      next = once and 0 or math.floor(#texts * number / count),
    }
  end
  for _, kind in ipairs(kinds) do kind.upto = kind.upto / total end
end

local random = math.random

function request()
  local kind = kinds[1]
  if #kinds > 1 then
    local drawn, at = random(), 1
    while kinds[at].upto < drawn and at < #kinds do at = at + 1 end
    kind = kinds[at]
  end
  local texts = kind.texts
  local at = kind.next + 1
  if at > #texts then at = 1 end
  kind.next = at
  return texts[at]
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"requests":%d,"seconds":%.6f,"bytes":%d,"failed":%d,"refused":%d,"p50_us":%d,"p90_us":%d,"p99_us":%d,"p999_us":%d,"max_us":%d}\n',
    summary.requests, summary.duration / 1e6, summary.bytes,
    errors.connect + errors.read + errors.write + errors.timeout, errors.status,
    latency:percentile(50), latency:percentile(90), latency:percentile(99), latency:percentile(99.9), latency.max))
end
