// Command rules evaluates rule files with Prometheus' own rules package over a TSDB. It reads files of
// unit tests in promtool's format, of which it takes the series, the times and the rule files, and prints for
// every test, as JSON: every sample that there is in the end, the errors of rules, and every alert that fires at
// every tenth minute, in the words of alert_rule_test. The first evaluation with an error is the last, as in promtool.
//
//	go run ./rules FILE...
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"go.yaml.in/yaml/v3"
)

type testFile struct {
	RuleFiles          []string       `yaml:"rule_files"`
	EvaluationInterval model.Duration `yaml:"evaluation_interval"`
	GroupEvalOrder     []string       `yaml:"group_eval_order"`
	Tests              []test         `yaml:"tests"`
}

type test struct {
	Name     string         `yaml:"name"`
	Interval model.Duration `yaml:"interval"`
	Series   []struct {
		Series string `yaml:"series"`
		Values string `yaml:"values"`
	} `yaml:"input_series"`
	Alerts         []timed           `yaml:"alert_rule_test"`
	Exprs          []timed           `yaml:"promql_expr_test"`
	ExternalLabels map[string]string `yaml:"external_labels"`
	ExternalURL    string            `yaml:"external_url"`
}

type timed struct {
	EvalTime model.Duration `yaml:"eval_time"`
}

type outcome struct {
	File    string              `json:"file"`
	Name    string              `json:"name"`
	Samples map[string][]string `json:"samples"`
	Errors  []string            `json:"errors"`
	Firing  []firing            `json:"firing"`
}

type firing struct {
	EvalTime  string     `json:"eval_time"`
	AlertName string     `json:"alertname"`
	Alerts    []expected `json:"exp_alerts"`
}

type expected struct {
	Labels      map[string]string `json:"exp_labels"`
	Annotations map[string]string `json:"exp_annotations"`
}

// One sample of a series of a test.
type input struct {
	labels    labels.Labels
	at        int64
	value     float64
	histogram *histogram.FloatHistogram
}

var language = parser.NewParser(parser.Options{})

func main() {
	outcomes := []outcome{}
	for _, path := range os.Args[1:] {
		found, err := runFile(path)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", path, err)
			os.Exit(1)
		}
		outcomes = append(outcomes, found...)
	}
	if err := json.NewEncoder(os.Stdout).Encode(outcomes); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func runFile(path string) ([]outcome, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var file testFile
	if err := yaml.Unmarshal(text, &file); err != nil {
		return nil, err
	}
	if file.EvaluationInterval == 0 {
		file.EvaluationInterval = model.Duration(time.Minute)
	}
	for i, rules := range file.RuleFiles {
		if !filepath.IsAbs(rules) {
			file.RuleFiles[i] = filepath.Join(filepath.Dir(path), rules)
		}
	}
	outcomes := []outcome{}
	for _, test := range file.Tests {
		found, err := run(&file, &test)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", test.Name, err)
		}
		found.File, found.Name = path, test.Name
		outcomes = append(outcomes, *found)
	}
	return outcomes, nil
}

func run(file *testFile, test *test) (*outcome, error) {
	inputs, err := read(test)
	if err != nil {
		return nil, err
	}
	directory, err := os.MkdirTemp("", "rules")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(directory)
	options := tsdb.DefaultOptions()
	options.MinBlockDuration = (24 * time.Hour).Milliseconds()
	options.MaxBlockDuration = options.MinBlockDuration
	options.RetentionDuration = 0
	db, err := tsdb.Open(directory, slog.New(slog.DiscardHandler), nil, options, nil)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	groups, err := load(file, test, db)
	if err != nil {
		return nil, err
	}

	out := &outcome{Errors: []string{}, Firing: []firing{}}
	var end time.Duration
	for _, one := range append(test.Alerts, test.Exprs...) {
		end = max(end, time.Duration(one.EvalTime))
	}
	for since := time.Duration(0); since <= end && len(out.Errors) == 0; since += time.Duration(file.EvaluationInterval) {
		if inputs, err = appendUntil(db, inputs, since.Milliseconds()); err != nil {
			return nil, err
		}
		for _, group := range groups {
			group.Eval(context.Background(), time.UnixMilli(since.Milliseconds()).UTC())
			for _, rule := range group.Rules() {
				if err := rule.LastError(); err != nil {
					out.Errors = append(out.Errors, fmt.Sprintf("rule: %s, time: %s, err: %v", rule.Name(), since, err))
				}
			}
		}
		if since%(10*time.Minute) == 0 && len(out.Errors) == 0 {
			out.Firing = append(out.Firing, firingIn(groups, since)...)
		}
	}
	if _, err = appendUntil(db, inputs, math.MaxInt64); err != nil {
		return nil, err
	}
	out.Samples, err = dump(db)
	return out, err
}

// The samples of a test in the order of time.
func read(test *test) ([]input, error) {
	var inputs []input
	for _, line := range test.Series {
		series, values, err := language.ParseSeriesDesc(line.Series + " " + line.Values)
		if err != nil {
			return nil, err
		}
		for i, value := range values {
			if !value.Omitted {
				at := int64(i) * time.Duration(test.Interval).Milliseconds()
				inputs = append(inputs, input{series, at, value.Value, value.Histogram})
			}
		}
	}
	sort.SliceStable(inputs, func(i, j int) bool { return inputs[i].at < inputs[j].at })
	return inputs, nil
}

// Appends what is not after a time, and gives the rest.
func appendUntil(db *tsdb.DB, inputs []input, until int64) ([]input, error) {
	appender := db.Appender(context.Background())
	for len(inputs) > 0 && inputs[0].at <= until {
		var err error
		if one := inputs[0]; one.histogram != nil {
			_, err = appender.AppendHistogram(0, one.labels, one.at, nil, one.histogram)
		} else {
			_, err = appender.Append(0, one.labels, one.at, one.value)
		}
		if err != nil {
			return nil, err
		}
		inputs = inputs[1:]
	}
	return inputs, appender.Commit()
}

// The groups of every file, in the order of the files or in the one that is asked for.
func load(file *testFile, test *test, db *tsdb.DB) ([]*rules.Group, error) {
	engine := promql.NewEngine(promql.EngineOpts{
		MaxSamples:               50_000_000,
		Timeout:                  2 * time.Minute,
		EnableAtModifier:         true,
		EnableNegativeOffset:     true,
		NoStepSubqueryIntervalFn: func(int64) int64 { return time.Duration(file.EvaluationInterval).Milliseconds() },
		Parser:                   language,
	})
	external, err := url.Parse(test.ExternalURL)
	if err != nil {
		return nil, err
	}
	manager := rules.NewManager(&rules.ManagerOptions{
		QueryFunc:   rules.EngineQueryFunc(engine, db),
		NotifyFunc:  func(context.Context, string, ...*rules.Alert) {},
		Appendable:  db,
		Queryable:   db,
		ExternalURL: external,
		Registerer:  prometheus.NewRegistry(),
		Parser:      language,
		// Only real use has an offset of its own.
		DefaultRuleQueryOffset: func() time.Duration { return 0 },
	})
	found, errs := manager.LoadGroups(
		time.Duration(test.Interval), labels.FromMap(test.ExternalLabels), test.ExternalURL, nil, false, file.RuleFiles...,
	)
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	var groups []*rules.Group
	for _, path := range file.RuleFiles {
		parsed, errs := rulefmt.ParseFile(path, false, model.UTF8Validation, language, slog.New(slog.DiscardHandler))
		if len(errs) > 0 {
			return nil, errors.Join(errs...)
		}
		for _, group := range parsed.Groups {
			groups = append(groups, found[rules.GroupKey(path, group.Name)])
		}
	}
	place := map[string]int{}
	for i, name := range file.GroupEvalOrder {
		place[name] = i
	}
	sort.SliceStable(groups, func(i, j int) bool { return place[groups[i].Name()] < place[groups[j].Name()] })
	for _, group := range groups {
		// Without it ALERTS is not written.
		for _, rule := range group.AlertingRules() {
			rule.SetRestored(true)
		}
	}
	return groups, nil
}

func firingIn(groups []*rules.Group, since time.Duration) []firing {
	byName := map[string][]expected{}
	for _, group := range groups {
		for _, rule := range group.AlertingRules() {
			alerts := byName[rule.Name()]
			for _, alert := range rule.ActiveAlerts() {
				if alert.State == rules.StateFiring {
					without := labels.NewBuilder(alert.Labels).Del(labels.AlertName).Labels()
					alerts = append(alerts, expected{without.Map(), alert.Annotations.Map()})
				}
			}
			byName[rule.Name()] = alerts
		}
	}
	var all []firing
	for name, alerts := range byName {
		all = append(all, firing{model.Duration(since).String(), name, alerts})
	}
	return all
}

func dump(db *tsdb.DB) (map[string][]string, error) {
	querier, err := db.Querier(math.MinInt64, math.MaxInt64)
	if err != nil {
		return nil, err
	}
	defer querier.Close()
	samples := map[string][]string{}
	all := labels.MustNewMatcher(labels.MatchRegexp, labels.MetricName, ".+")
	found := querier.Select(context.Background(), false, nil, all)
	for found.Next() {
		samples[found.At().Labels().String()] = of(found.At())
	}
	return samples, found.Err()
}

func of(series storage.Series) []string {
	var samples []string
	iterator := series.Iterator(nil)
	for kind := iterator.Next(); kind != chunkenc.ValNone; kind = iterator.Next() {
		if kind == chunkenc.ValFloat {
			at, number := iterator.At()
			text := strconv.FormatFloat(number, 'f', -1, 64)
			if value.IsStaleNaN(number) {
				text = "stale"
			}
			samples = append(samples, fmt.Sprintf("%s @[%d]", text, at))
		} else {
			at, histogram := iterator.AtFloatHistogram(nil)
			text := histogram.String()
			if value.IsStaleNaN(histogram.Sum) {
				text = "stale"
			}
			samples = append(samples, fmt.Sprintf("%s @[%d]", text, at))
		}
	}
	return samples
}
