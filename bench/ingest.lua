-- What wrk sends for `./dev bench ingest`: alerts as Prometheus writes them, to POST /api/v2/alerts.
-- Arguments: how many alerts a request carries; new or repeat; a word that is in the name of each alert.

local per_request, kind, word
local bodies, sent = {}, 0
local repeated = 6400 -- alerts that fire and are sent again and again

local function alert(number)
    return string.format('{"labels":{"alertname":"HighLatency","instance":"%s-%d.example.org:9100","job":"node",'
        .. '"severity":"warning","team":"storage"},"annotations":{"summary":"Requests to %s-%d take long",'
        .. '"description":"99 of 100 requests take more than 2 s, for 10 minutes",'
        .. '"runbook_url":"https://runbooks.example.org/high-latency"},"startsAt":"%s","endsAt":"%s",'
        .. '"generatorURL":"http://prometheus.example.org:9090/graph?g0.expr=latency&g0.tab=1"}',
        word, number, word, number, starts_at, ends_at)
end

local function body(first)
    local alerts = {}
    for i = 1, per_request do alerts[i] = alert(first + i) end
    return '[' .. table.concat(alerts, ',') .. ']'
end

function init(arguments)
    per_request, kind, word = tonumber(arguments[1]), arguments[2], arguments[3]
    starts_at = os.date('!%Y-%m-%dT%H:%M:%S.000Z', os.time() - 600)
    ends_at = os.date('!%Y-%m-%dT%H:%M:%S.000Z', os.time() + 3600)
    wrk.headers['Content-Type'] = 'application/json'
    if kind == 'repeat' then
        for first = 0, repeated - 1, per_request do bodies[#bodies + 1] = wrk.format('POST', nil, nil, body(first)) end
    end
end

function request()
    sent = sent + 1
    if kind == 'repeat' then return bodies[(sent - 1) % #bodies + 1] end
    return wrk.format('POST', nil, nil, body((sent - 1) * per_request))
end

function done(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format('\n{"requests": %d, "seconds": %f, "p50_us": %d, "p99_us": %d, "refused": %d, "broken": %d}\n',
        summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99), errors.status,
        errors.connect + errors.read + errors.write + errors.timeout))
end
