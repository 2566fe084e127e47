package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/grafana/grafana-plugin-sdk-go/data"
)

// check is one thing that a user of Grafana does.
type check struct {
	name string
	does func(context.Context, *source, time.Time) error
}

func checks(agent *agent) []check {
	return []check{
		{"the settings page finds a Prometheus in health", healthy},
		{"without the token the settings page says that it is refused", func(ctx context.Context, _ *source, _ time.Time) error {
			return refused(ctx, newSource(agent.admin, "", "POST"))
		}},
		{"all of it works with GET", func(ctx context.Context, _ *source, end time.Time) error {
			source := newSource(agent.admin, token, "GET")
			if err := healthy(ctx, source, end); err != nil {
				return err
			}
			return instant(ctx, source, end)
		}},
		{"a stat shows the sum that was sent", instant},
		{"a graph of a rate over $__rate_interval is the rate that was sent", rates},
		{"a panel is named by its legend", legends},
		{"a quantile of a classic histogram by route is that of the requests that were sent", quantiles},
		{"a graph shows exemplars with the trace they lead to", exemplars},
		{"a heatmap of a classic histogram has its buckets", classicHeatmap},
		{"a heatmap of a native histogram has its buckets", nativeHeatmap},
		{"numbers that are none are shown as such", oddNumbers},
		{"nothing found is an empty panel without an error", empty},
		{"a notice of the query is on the panel", notices},
		{"a mistake in an expression is shown where it is", mistake},
		{"a query over the limits says which", overLimits},
		{"variables list labels, values and series, by GET and as a form", variables},
		{"the editor knows metrics by their type and text", metadata},
		{"the editor suggests labels of the metrics at hand", suggestions},
		{"what is asked when a data source is first used is answered", first},
	}
}

func healthy(ctx context.Context, source *source, _ time.Time) error {
	health, err := source.service.CheckHealth(ctx, &backend.CheckHealthRequest{PluginContext: source.context})
	if err != nil {
		return err
	}
	if health.Status != backend.HealthStatusOk {
		return fmt.Errorf("%v: %s", health.Status, health.Message)
	}
	if !strings.Contains(string(health.JSONDetails), `"application":"Prometheus"`) {
		return fmt.Errorf("%s", health.JSONDetails)
	}
	return nil
}

func refused(ctx context.Context, source *source) error {
	health, err := source.service.CheckHealth(ctx, &backend.CheckHealthRequest{PluginContext: source.context})
	if err != nil {
		return err
	}
	if health.Status != backend.HealthStatusError || !strings.Contains(health.Message, "401") {
		return fmt.Errorf("%v: %s", health.Status, health.Message)
	}
	return nil
}

func instant(ctx context.Context, source *source, end time.Time) error {
	frames, err := source.ask(ctx, query{expr: "sum(orders_total)", instant: true, to: end})
	if err != nil {
		return err
	}
	if len(frames) != 1 || last(frames[0]) != float64(len(routes)*3*steps) {
		return shown(frames)
	}
	return nil
}

func rates(ctx context.Context, source *source, end time.Time) error {
	response, err := source.respond(ctx, query{expr: "rate(orders_total[$__rate_interval])", to: end})
	if err != nil || response.Error != nil {
		return fmt.Errorf("%w %w", err, response.Error)
	}
	frames := response.Frames
	if len(frames) != len(routes) || !strings.Contains(frames[0].Meta.ExecutedQueryString, "[1m0s]") {
		return shown(frames)
	}
	found := []string{}
	for _, frame := range frames {
		found = append(found, frame.Fields[1].Labels["http_route"])
		rates := values(frame, 1)
		wrong := slices.ContainsFunc(rates, func(rate float64) bool { return !near(rate, 3.0/15) })
		if len(rates) != 41 || wrong {
			return shown(frames)
		}
	}
	slices.Sort(found)
	if !slices.Equal(found, routes) {
		return fmt.Errorf("routes %v", found)
	}
	return nil
}

func legends(ctx context.Context, source *source, end time.Time) error {
	legend := "{{service_name}} {{http_route}}"
	frames, err := source.ask(ctx, query{expr: `orders_total{http_route="/cart"}`, legend: legend, to: end})
	if err != nil {
		return err
	}
	if len(frames) != 1 || frames[0].Fields[1].Config.DisplayNameFromDS != "shop /cart" {
		return shown(frames)
	}
	return nil
}

func quantiles(ctx context.Context, source *source, end time.Time) error {
	expr := "histogram_quantile(0.95, sum by (le, http_route) (rate(http_server_request_duration_seconds_bucket[5m])))"
	frames, err := source.ask(ctx, query{expr: expr, to: end})
	if err != nil {
		return err
	}
	// Nine and a half of ten: three quarters into (0.1, 0.5], and nineteen twentieths into (0.5, 1].
	wanted := map[string]float64{"/cart": 0.1 + 0.75*0.4, "/checkout": 0.5 + 0.95*0.5}
	for _, frame := range frames {
		quantiles, is := values(frame, 1), wanted[frame.Fields[1].Labels["http_route"]]
		if len(quantiles) != 41 || slices.ContainsFunc(quantiles, func(found float64) bool { return !near(found, is) }) {
			return shown(frames)
		}
	}
	if len(frames) != len(wanted) {
		return shown(frames)
	}
	return nil
}

func exemplars(ctx context.Context, source *source, end time.Time) error {
	expr := "sum by (le) (rate(http_server_request_duration_seconds_bucket[1m]))"
	frames, err := source.ask(ctx, query{expr: expr, exemplar: true, to: end})
	if err != nil {
		return err
	}
	for _, frame := range frames {
		if frame.Name != "exemplar" {
			continue
		}
		traces, at := frame.FieldByName("trace_id")
		if at < 0 || traces.Len() == 0 || traces.At(0) != "deadbeef0102030405060708090a0b0c" || values(frame, 1)[0] != 0.25 {
			return shown(frames)
		}
		return nil
	}
	return shown(frames)
}

func classicHeatmap(ctx context.Context, source *source, end time.Time) error {
	expr := "sum by (le) (increase(http_server_request_duration_seconds_bucket[1m]))"
	frames, err := source.ask(ctx, query{expr: expr, format: "heatmap", legend: "{{le}}", to: end})
	if err != nil {
		return err
	}
	// Of a minute: four steps of ten requests for each of two routes.
	wanted := map[string]float64{"0.1": 32, "0.5": 40, "1": 80, "1.0": 80, "+Inf": 80}
	for _, frame := range frames {
		if is, known := wanted[frame.Fields[1].Config.DisplayNameFromDS]; !known || !near(last(frame), is) {
			return shown(frames)
		}
	}
	if len(frames) != 4 {
		return shown(frames)
	}
	return nil
}

func nativeHeatmap(ctx context.Context, source *source, end time.Time) error {
	expr := "sum(increase(rpc_server_duration_milliseconds[1m]))"
	frames, err := source.ask(ctx, query{expr: expr, format: "heatmap", to: end})
	if err != nil {
		return err
	}
	if len(frames) != 1 || frames[0].Meta.Type != "heatmap-cells" || frames[0].Rows() != 41*len(calls) {
		return shown(frames)
	}
	column := func(name string) []float64 {
		_, at := frames[0].FieldByName(name)
		return values(frames[0], at)
	}
	lows, highs, counts := column("yMin"), column("yMax"), column("count")
	for row, count := range counts {
		bucket := row % len(calls)
		low := math.Exp2(float64(bucket))
		if !near(lows[row], low) || !near(highs[row], 2*low) || !near(count, float64(4*calls[bucket])) {
			return fmt.Errorf("row %d: (%v, %v] has %v", row, lows[row], highs[row], count)
		}
	}
	return nil
}

func oddNumbers(ctx context.Context, source *source, end time.Time) error {
	for expr, is := range map[string]func(float64) bool{
		"vector(1) / 0":       func(found float64) bool { return math.IsInf(found, 1) },
		"-vector(1) / 0":      func(found float64) bool { return math.IsInf(found, -1) },
		"vector(0) / 0":       math.IsNaN,
		"scalar(queue_depth)": func(found float64) bool { return found == steps },
	} {
		for _, instant := range []bool{true, false} {
			frames, err := source.ask(ctx, query{expr: expr, instant: instant, to: end})
			if err != nil {
				return fmt.Errorf("%s: %w", expr, err)
			}
			if len(frames) != 1 || len(values(frames[0], 1)) == 0 || !is(last(frames[0])) {
				return fmt.Errorf("%s: %w", expr, shown(frames))
			}
		}
	}
	frames, err := source.ask(ctx, query{expr: `"text"`, instant: true, to: end})
	if err != nil || len(frames) != 1 || frames[0].Fields[1].At(0) != "text" {
		return fmt.Errorf("a string: %w %w", err, shown(frames))
	}
	return nil
}

func empty(ctx context.Context, source *source, end time.Time) error {
	for _, instant := range []bool{true, false} {
		frames, err := source.ask(ctx, query{expr: "nothing_total", instant: instant, to: end})
		if err != nil {
			return err
		}
		if len(frames) != 1 || frames[0].Rows() != 0 {
			return shown(frames)
		}
	}
	return nil
}

func notices(ctx context.Context, source *source, end time.Time) error {
	frames, err := source.ask(ctx, query{expr: "rate(queue_depth[1m])", to: end})
	if err != nil {
		return err
	}
	for _, frame := range frames {
		for _, notice := range frame.Meta.Notices {
			if notice.Severity == data.NoticeSeverityInfo && strings.Contains(notice.Text, "might not be a counter") {
				return nil
			}
		}
	}
	return shown(frames)
}

func mistake(ctx context.Context, source *source, end time.Time) error {
	for _, instant := range []bool{true, false} {
		response, err := source.respond(ctx, query{expr: "sum(rate(orders_total[5m])", instant: instant, to: end})
		if err != nil {
			return err
		}
		if response.Status != 400 || response.Error == nil || !strings.HasPrefix(response.Error.Error(), "bad_data: ") ||
			!strings.Contains(response.Error.Error(), "1:27: parse error: unclosed left parenthesis") {
			return fmt.Errorf("%v %v", response.Status, response.Error)
		}
	}
	return nil
}

func overLimits(ctx context.Context, source *source, end time.Time) error {
	response, err := source.respond(ctx, query{expr: "max_over_time(sum(orders_total)[30d:1s])", instant: true, to: end})
	if err != nil {
		return err
	}
	if response.Error == nil || !strings.Contains(response.Error.Error(), "too many") {
		return fmt.Errorf("%v %v", response.Status, response.Error)
	}
	return nil
}

func variables(ctx context.Context, source *source, end time.Time) error {
	match := fmt.Sprintf("match%%5B%%5D=orders_total&start=%d&end=%d", end.Unix()-600, end.Unix())
	for _, form := range []bool{false, true} {
		parameters, body := match, ""
		if form {
			parameters, body = "", match
		}
		labels, err := answer[[]string](ctx, source, "api/v1/labels", parameters, body)
		if err != nil {
			return err
		}
		if !slices.Contains(labels, "http_route") || !slices.Contains(labels, "service_name") {
			return fmt.Errorf("labels %v", labels)
		}
		series, err := answer[[]map[string]string](ctx, source, "api/v1/series", parameters, body)
		if err != nil {
			return err
		}
		if len(series) != len(routes) || series[0]["__name__"] != "orders_total" || series[0]["job"] != "shop" {
			return fmt.Errorf("series %v", series)
		}
	}
	found, err := answer[[]string](ctx, source, "api/v1/label/http_route/values", match, "")
	if err != nil {
		return err
	}
	if !slices.Equal(found, routes) {
		return fmt.Errorf("values %v", found)
	}
	names, err := answer[[]string](ctx, source, "api/v1/label/__name__/values", "limit=40000", "")
	if err != nil {
		return err
	}
	for _, name := range []string{"orders_total", "queue_depth", "http_server_request_duration_seconds_bucket"} {
		if !slices.Contains(names, name) {
			return fmt.Errorf("%s is not among %d metrics", name, len(names))
		}
	}
	return nil
}

func metadata(ctx context.Context, source *source, _ time.Time) error {
	type described struct{ Type, Help string }
	found, err := answer[map[string][]described](ctx, source, "api/v1/metadata", "limit=40000", "")
	if err != nil {
		return err
	}
	for name, is := range map[string]described{
		"orders_total":                         {"counter", "Orders."},
		"queue_depth":                          {"gauge", "Messages that wait."},
		"http_server_request_duration_seconds": {"histogram", "Requests."},
		"rpc_server_duration_milliseconds":     {"histogram", "Calls."},
	} {
		of := found[name]
		if len(of) != 1 || of[0] != is {
			return fmt.Errorf("%s: %v", name, of)
		}
	}
	return nil
}

func suggestions(ctx context.Context, source *source, end time.Time) error {
	ask := func(label string) ([]string, error) {
		body, err := json.Marshal(map[string]any{
			"labelName": label, "queries": []string{"rate(orders_total[$__rate_interval])"}, "limit": 100,
			"start": fmt.Sprint(end.Unix() - 600), "end": fmt.Sprint(end.Unix()),
		})
		if err != nil {
			return nil, err
		}
		return answer[[]string](ctx, source, "suggestions", "", string(body))
	}
	labels, err := ask("")
	if err != nil {
		return err
	}
	found, err := ask("http_route")
	if err != nil {
		return err
	}
	if !slices.Contains(labels, "http_route") || !slices.Equal(found, routes) {
		return fmt.Errorf("labels %v, routes %v", labels, found)
	}
	return nil
}

// first is what the page asks of a data source on its own account.
func first(ctx context.Context, source *source, end time.Time) error {
	milliseconds := fmt.Sprintf("query=test&start=%d&end=%d", end.UnixMilli()-3_600_000, end.UnixMilli())
	if found, err := answer[[]any](ctx, source, "api/v1/query_exemplars", milliseconds, ""); err != nil || len(found) != 0 {
		return fmt.Errorf("exemplars %v %w", found, err)
	}
	rules, err := answer[map[string][]any](ctx, source, "api/v1/rules", "", "")
	if err != nil || len(rules["groups"]) == 0 {
		return fmt.Errorf("rules %v %w", rules, err)
	}
	if _, err := answer[map[string][]any](ctx, source, "api/v1/alerts", "", ""); err != nil {
		return fmt.Errorf("alerts %w", err)
	}
	written, err := answer[string](ctx, source, "api/v1/format_query", "query=sum(orders_total)by(job)", "")
	if err != nil || written != "sum by (job) (orders_total)" {
		return fmt.Errorf("format_query %s %w", written, err)
	}
	parsed, err := answer[map[string]any](ctx, source, "api/v1/parse_query", "query=sum(orders_total)by(job)", "")
	if err != nil || parsed["type"] != "aggregation" {
		return fmt.Errorf("parse_query %v %w", parsed, err)
	}
	return nil
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*math.Max(math.Abs(a), math.Abs(b)) }

// shown is what came instead of what was wanted.
func shown(frames data.Frames) error {
	text := fmt.Sprintf("%d frames", len(frames))
	for _, frame := range frames {
		table, err := frame.StringTable(8, 3)
		if err != nil {
			return err
		}
		meta, _ := json.Marshal(frame.Meta)
		text += fmt.Sprintf("\n%s\n%s", meta, table)
	}
	return fmt.Errorf("%.4000s", text)
}
