"""Runs of the same row put together, and shown as tables that read as text and as Markdown."""

from __future__ import annotations

from statistics import median

REACHED_MIN = 0.97
BUSY_MAX = 0.9

# What is best of several runs is the least disturbed one; memory is shown at its worst.
LEAST = (
    "cpu_ms_per_second",
    "cpu_us_per_span",
    "cpu_user_us_per_span",
    "cpu_system_us_per_span",
    "cpu_us_per_request",
    "ack_p50_ms",
    "ack_p99_ms",
    "rss_idle_mib",
    "rss_steady_mib",
    "rss_peak_mib",
    "spans_per_second",
    "offered_reached",
    "busy",
    "others_busy",
    "stolen",
    "first_after_seconds",
    "drained_after_seconds",
)
SUMMED = ("sent", "acknowledged", "refused", "received", "missing", "surplus", "repeated")


def summary(runs: list[dict]) -> dict:
    """`min`, `median` and `max` of what varies, the sum of what is counted."""
    found: dict = {"runs": len(runs), "min": {}, "median": {}, "max": {}}
    for name in LEAST:
        values = [run[name] for run in runs if run.get(name) is not None]
        if values:
            found["min"][name], found["median"][name], found["max"][name] = min(values), median(values), max(values)
    for name in SUMMED:
        if any(name in run for run in runs):
            found[name] = sum(run.get(name, 0) for run in runs)
    return found


def table(row: dict) -> str:
    """`row` as run.py keeps it: title, kind, offered, results by system and mode."""
    columns = COLUMNS[row["kind"]]
    baseline = {result["mode"]: result["summary"] for result in row["results"]
                if result["system"] == "sidelight" and "summary" in result}
    lines = []
    for result in row["results"]:
        cells = {"program": result["system"], "mode": result["mode"]}
        if "summary" in result:
            base = baseline.get(result["mode"]) or next(iter(baseline.values()), None)
            cells |= columns(row, result, base)
        if result.get("error"):
            cells["notes"] = "cut short: see below" if "summary" in result else "did not run: see below"
        lines.append(cells)
    return aligned(lines)


def idle_columns(row: dict, result: dict, base: dict | None) -> dict[str, str]:
    found = result["summary"]
    return {
        "CPU ms/s": number(found["min"]["cpu_ms_per_second"]),
        "median": number(found["median"]["cpu_ms_per_second"]),
        **memory_columns(found),
    }


def rate_columns(row: dict, result: dict, base: dict | None) -> dict[str, str]:
    found = result["summary"]
    return {
        **cpu_columns(found, base),
        "µs/request": number(found["min"]["cpu_us_per_request"]),
        "spans/s": reached(row, found),
        "ack p50": milliseconds(found["median"]["ack_p50_ms"]),
        "p99": milliseconds(found["median"]["ack_p99_ms"]),
        **memory_columns(found),
        **conserved(found),
        "notes": notes(row, result),
    }


def outage_columns(row: dict, result: dict, base: dict | None) -> dict[str, str]:
    found = result["summary"]
    return {
        **cpu_columns(found, base),
        "spans/s": f"{found['median']['spans_per_second']:,.0f}",
        **memory_columns(found),
        "first after": seconds(found["median"].get("first_after_seconds")),
        "drained after": seconds(found["median"].get("drained_after_seconds")),
        **conserved(found),
        "repeated": f"{found['repeated']:,}",
        "notes": notes(row, result),
    }


def overload_columns(row: dict, result: dict, base: dict | None) -> dict[str, str]:
    found, last = result["summary"], result["runs"][-1]
    other = last["bystander"]
    return {
        **cpu_columns(found, base),
        "offered/s": f"{found['median']['offered_reached']:,.0f}",
        "taken/s": f"{found['median']['spans_per_second']:,.0f}",
        **memory_columns(found),
        "ack p99": milliseconds(found["median"]["ack_p99_ms"]),
        "refused": f"{found['refused']:,}",
        "other client": f"{other['acknowledged']:,}/{other['sent']:,}, p99 {milliseconds(other['ack_p99_ms'])}",
        **conserved(found),
        "notes": notes(row, result),
    }


COLUMNS = {
    "idle": idle_columns,
    "rate": rate_columns,
    "max": rate_columns,
    "outage": outage_columns,
    "overload": overload_columns,
}


def cpu_columns(found: dict, base: dict | None) -> dict[str, str]:
    least, middle = found["min"], found["median"]
    against = base["min"]["cpu_us_per_span"] if base else 0
    return {
        "µs/span": number(least["cpu_us_per_span"]),
        "median": number(middle["cpu_us_per_span"]),
        "user+sys": f"{number(middle['cpu_user_us_per_span'])}+{number(middle['cpu_system_us_per_span'])}",
        "× sidelight": f"{least['cpu_us_per_span'] / against:.2f}" if against else "",
    }


def memory_columns(found: dict) -> dict[str, str]:
    """MiB: at rest, under load, at the most."""
    sizes = (found["median"]["rss_idle_mib"], found["median"]["rss_steady_mib"], found["max"]["rss_peak_mib"])
    return {"RSS MiB idle/steady/peak": " / ".join(f"{size:.0f}" for size in sizes)}


def conserved(found: dict) -> dict[str, str]:
    missing = found["missing"]
    return {"arrived": f"all but {missing:,} of {found['acknowledged']:,}" if missing else "all"}


def reached(row: dict, found: dict) -> str:
    per_second = found["median"]["spans_per_second"]
    missed = row["offered"] and per_second < REACHED_MIN * row["offered"]
    return f"{per_second:,.0f}" + (" (short)" if missed else "")


def notes(row: dict, result: dict) -> str:
    """What makes a number say something else than it seems to."""
    found, said = result["summary"], []
    if found["median"].get("others_busy", 0) > BUSY_MAX:
        said.append("generator and sink have no time left")
    if found["median"].get("stolen", 0) > 0.01:
        said.append(f"{found['median']['stolen']:.0%} stolen by the hypervisor")
    if found["refused"] and row["kind"] != "overload":
        said.append(f"{found['refused']:,} refused")
    again = sum(times for run in result["runs"] for words, times in run["answers"].items() if words.startswith("again: "))
    if again:
        said.append(f"{again:,} requests sent again")
    if found["surplus"]:
        said.append(f"{found['surplus']:,} arrived beyond what was acknowledged")
    return "; ".join(said)


def number(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} ms"


def seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f} s"


def aligned(lines: list[dict[str, str]]) -> str:
    """A column that is empty in every line is left out."""
    names = list(dict.fromkeys(name for line in lines for name in line))
    names.sort(key=lambda name: name == "notes")
    names = [name for name in names if any(line.get(name) for line in lines)]
    widths = {name: max(len(name), *(len(line.get(name, "")) for line in lines)) for name in names}
    heading = {name: name for name in names}
    rule = "|" + "|".join("-" * (widths[name] + 2) for name in names) + "|"
    text = ["| " + " | ".join(line.get(name, "").ljust(widths[name]) for name in names) + " |" for line in (heading, *lines)]
    return "\n".join([text[0], rule, *text[1:]])
