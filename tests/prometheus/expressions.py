"""Expressions over the telemetry of telemetry.py, chosen to touch every function and operator on stored series."""

from __future__ import annotations

COUNTER = "http_server_requests_total"
CPU = "process_cpu_time_seconds_total"
POOL = "db_client_connection_count"
MEMORY = "process_memory_usage_bytes"
ROOM = "room_temperature_celsius"
HITS = "cache_hit_ratio"
JOBS = "jobs_done_total"
CLASSIC = "http_server_request_duration_seconds"
NATIVE = "rpc_server_duration_milliseconds"

RANGE_OVER_COUNTERS = ["rate", "increase", "irate", "delta", "idelta", "resets", "changes"]
OVER_TIME = ["avg", "min", "max", "sum", "count", "stddev", "stdvar", "last", "present"]
BY_VALUE = ["abs", "ceil", "floor", "exp", "ln", "log2", "log10", "sqrt", "sgn", "deg", "rad"]
TRIGONOMETRY = ["sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh"]
DATES = ["minute", "hour", "day_of_week", "day_of_month", "day_of_year", "days_in_month", "month", "year"]
AGGREGATIONS = ["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"]


def expressions() -> list[str]:
    out: list[str] = []
    add = out.append
    for metric in (COUNTER, CPU, POOL, MEMORY, ROOM, HITS, JOBS, CLASSIC + "_count", CLASSIC + "_sum", NATIVE, "target_info"):
        add(metric)
    for selector in (
        '{__name__=~"http_server_request.*_count"}',
        'http_server_requests_total{http_route="/cart",http_response_status_code!="200"}',
        'http_server_requests_total{http_route=~"/cart.*"}',
        'http_server_requests_total{http_route!~"/cart.*",job="shop"}',
        'http_server_request_duration_seconds_bucket{le="0.1"}',
        'http_server_request_duration_seconds_bucket{le=~"0.*",http_route="/search"}',
        'http_server_request_duration_seconds_bucket{le="+Inf",instance="shop-1"}',
        '{service_name="billing",__name__=~".+_total"}',
        'room_temperature_celsius{room="south"}',
        'target_info{host_name="host-shop-0"}',
    ):
        add(selector)
    for function in RANGE_OVER_COUNTERS:
        for metric in (COUNTER, CPU, JOBS, CLASSIC + "_count"):
            for window in ("1m", "5m", "17m"):
                add(f"{function}({metric}[{window}])")
        add(f'{function}({CLASSIC}_bucket{{http_route="/checkout"}}[10m])')
    for function in OVER_TIME:
        for metric in (POOL, ROOM, HITS):
            add(f"{function}_over_time({metric}[10m])")
    for quantile in ("0", "0.5", "0.99", "1"):
        add(f"quantile_over_time({quantile}, {MEMORY}[10m])")
        add(f"quantile by (room) ({quantile}, {ROOM})")
        add(f"histogram_quantile({quantile}, sum by (le) (rate({CLASSIC}_bucket[5m])))")
        add(f"histogram_quantile({quantile}, sum by (le, http_route) (rate({CLASSIC}_bucket[10m])))")
        add(f"histogram_quantile({quantile}, rate({NATIVE}[5m]))")
        add(f"histogram_quantile({quantile}, sum by (service_name) (increase({NATIVE}[15m])))")
    for function in BY_VALUE:
        add(f"{function}({ROOM})")
    for function in TRIGONOMETRY:
        add(f"{function}({HITS})")
    for function in DATES:
        add(f"{function}()")
        add(f"{function}(timestamp({MEMORY}))")
    for operation in AGGREGATIONS:
        add(f"{operation}({POOL})")
        add(f"{operation} by (job) ({COUNTER})")
        add(f"{operation} without (instance, http_route) (rate({COUNTER}[5m]))")
        add(f"{operation} by (room) ({ROOM})")
    for operation in ("topk", "bottomk"):
        add(f"{operation}(2, {MEMORY})")
        add(f"{operation} by (job) (1, {MEMORY})")
    add(f'count_values("state", {POOL})')
    add(f'count_values by (job) ("v", {POOL} > 10)')
    for operator in ("+", "-", "*", "/", "%", "^", "atan2"):
        add(f"{POOL} {operator} 3")
        add(f"7 {operator} {HITS}")
        add(f"{ROOM} {operator} on (instance) group_left () {HITS}")
        add(f"sum by (job) ({MEMORY}) {operator} sum by (job) ({POOL})")
    for operator in ("==", "!=", ">", "<", ">=", "<="):
        add(f"{POOL} {operator} 10")
        add(f"{POOL} {operator} bool 10")
        add(f'{POOL}{{db_client_connection_state="idle"}} {operator} ignoring (db_client_connection_state) {POOL}{{db_client_connection_state="used"}}')
    for operator in ("and", "or", "unless"):
        add(f"{ROOM} {operator} ({ROOM} > 16)")
        add(f"{MEMORY} {operator} on (job) {POOL}")
        add(f"{MEMORY} {operator} ignoring (room) {ROOM}")
    for expression in (
        f"{MEMORY} offset 5m",
        f"{COUNTER} offset 30m",
        f"rate({COUNTER}[5m] offset 10m)",
        f"{MEMORY} @ end()",
        f"{MEMORY} @ start()",
        f"rate({COUNTER}[5m] @ end())",
        f"avg_over_time(rate({COUNTER}[2m])[10m:1m])",
        f"max_over_time({MEMORY}[10m:30s] offset 2m)",
        f"sum(sum_over_time({POOL}[5m:]))",
        f"quantile_over_time(0.9, (rate({CPU}[2m]))[10m:15s])",
        f"rate({COUNTER}[2m + 1.5 * 2m])",
        f"rate({COUNTER}[max_of(5m, 2 * step())])",
        f"sum(increase({COUNTER}[range() / 2] @ end()))",
        f"max_over_time({MEMORY}[10m:step()])",
        f"max_over_time({MEMORY}[max_of(range(), 10m):min_of(step() + 1s, 30s)] offset (1m ^ 1))",
        f"{MEMORY} offset (90s * 2)",
        f"{POOL} offset -min_of(step(), 1m)",
        f"{MEMORY} offset step() + 1",
        f"{MEMORY} offset (step()) + 1",
        f"{POOL} offset -2 ^ 2",
        f"predict_linear({MEMORY}[15m], 3600)",
        f"deriv({MEMORY}[15m])",
        f"clamp({POOL}, 5, 12)",
        f"clamp_min({POOL}, 5)",
        f"clamp_max({POOL}, 5)",
        f"round({ROOM}, 0.25)",
        f"round({ROOM})",
        f"absent({MEMORY})",
        'absent(nothing_here{a="b"})',
        'absent_over_time(nothing_here{a="b",c=~"d"}[5m])',
        f"absent_over_time({HITS}[5m])",
        "scalar(vector(3))",
        f"scalar({MEMORY})",
        "vector(time())",
        "time()",
        "pi()",
        "1 + 2 * 3 ^ 2 ^ 0.5 - -4 % 3",
        "-2 ^ 2",
        "1 > bool 2",
        f"-{POOL}",
        f"sort({MEMORY})",
        f"sort_desc({MEMORY})",
        f'label_replace({MEMORY}, "n", "$1", "instance", "(.*)-[0-9]+")',
        f'label_replace({MEMORY}, "n", "${{1}}x$2", "instance", "([a-z]+)-(.*)")',
        f'label_join({MEMORY}, "both", "/", "job", "instance")',
        f"timestamp({HITS})",
        f"histogram_count({NATIVE})",
        f"histogram_sum({NATIVE})",
        f"histogram_avg(rate({NATIVE}[5m]))",
        f"histogram_stddev(sum(rate({NATIVE}[5m])))",
        f"histogram_stdvar(sum(rate({NATIVE}[5m])))",
        f"histogram_fraction(0, 50, sum(rate({NATIVE}[5m])))",
        f"histogram_fraction(0.05, 0.5, sum by (le) (rate({CLASSIC}_bucket[5m])))",
        f"sum(rate({NATIVE}[5m]))",
        f"avg by (job) (increase({NATIVE}[10m]))",
        f"{NATIVE} * 2",
        f"{NATIVE} / 4",
        f"{NATIVE} + {NATIVE}",
        f"rate({NATIVE}[5m]) - rate({NATIVE}[5m] offset 5m)",
        f"sum_over_time({NATIVE}[2m])",
        f"avg_over_time({NATIVE}[2m])",
        f"count_over_time({NATIVE}[2m])",
        f"resets({NATIVE}[1h])",
        f"changes({NATIVE}[5m])",
        f"{NATIVE} > 2",
        f"-{NATIVE}",
        f"{NATIVE} </ 20",
        f"sum(rate({NATIVE}[5m])) >/ 10",
        f"histogram_sum({NATIVE} >/ scalar(sum({POOL})))",
        f"{NATIVE} </ on (job) group_left () sum by (job) ({POOL})",
        f"{POOL} </ 2",
        f"2 >/ {NATIVE}",
        "1 </ 2",
        f"max({NATIVE})",
        f"sum(rate({CLASSIC}_sum[5m])) / sum(rate({CLASSIC}_count[5m]))",
        f'sum(rate({COUNTER}{{http_response_status_code=~"5.."}}[5m])) / sum(rate({COUNTER}[5m])) > 0.001',
        f"sum by (http_route) (rate({COUNTER}[5m])) / on () group_left () sum(rate({COUNTER}[5m]))",
        f"{MEMORY} * on (job, instance) group_left (host_name) target_info",
        f"count by (__name__) ({{job=\"shop\"}})",
        f'group by (__name__) ({{__name__=~"http.*"}})',
        f"sum({COUNTER}) by (job) > 100 or vector(0)",
        f"max by (job) (max_over_time({MEMORY}[5m]) - min_over_time({MEMORY}[5m]))",
        f"(sum(increase({JOBS}[10m])) by (kind)) > 5",
        f"increase({JOBS}[30m])",
        f"{COUNTER} == {COUNTER}",
        f"{MEMORY} + {MEMORY} offset 1m",
        f"sum without () ({POOL})",
        f"ln({POOL} - 10)",
        f"{POOL} / 0",
        f"0 * {ROOM}",
        # Errors have to be the same, too.
        f"rate({COUNTER})",
        f"sum({COUNTER}[5m])",
        "foo{",
        "1 +",
        f"{MEMORY} + {ROOM}",
        f"{ROOM} * on (job) {MEMORY}",
        f"rate({COUNTER}[5m - 5m])",
        f"rate({COUNTER}[1m % (0)])",
        f"{MEMORY} offset (NaN)",
        f"{MEMORY} offset (1m) + {MEMORY}",
        'label_replace(up, "1bad", "", "", "(")',
    ):
        add(expression)
    return list(dict.fromkeys(out))
