// Command templates is Prometheus' own template package. It reads a table of templates and texts, expands
// each template with the labels, value and answers of src/rules/template/tests.rs, and prints the table
// with the texts that it gives.
//
//	go run ./templates ../../src/rules/template/table.json
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/template"
)

const prelude = "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}" +
	"{{$externalURL := .ExternalURL}}{{$value := .Value}}"

const external = "https://example.org:9090/sidecar/one%20two"

var given = map[string]string{
	"job": "api", "instance": "db-1.example.org:9100", "path": "/a b?c=<d>&e='f'", "empty": "", "unicode": "größe ★",
	"number": "1234.5", "quote": `say "hi" \o/`,
}

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(path string) error {
	where, err := url.Parse(external)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var table [][]string
	if err := json.Unmarshal(text, &table); err != nil {
		return err
	}
	var out bytes.Buffer
	separator := "[\n"
	for _, row := range table {
		out.WriteString(separator)
		separator = ",\n"
		encoder := json.NewEncoder(&out)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode([]string{row[0], expand(row[0], where)}); err != nil {
			return err
		}
		out.Truncate(out.Len() - 1)
	}
	out.WriteString("\n]\n")
	_, err = out.WriteTo(os.Stdout)
	return err
}

func expand(text string, where *url.URL) string {
	data := template.AlertTemplateData(given, map[string]string{"region": "eu", "zone": "b"}, external,
		promql.Sample{F: 1234.5678})
	at := model.TimeFromUnix(1_700_000_000).Add(123 * time.Millisecond)
	expander := template.NewTemplateExpander(context.Background(), prelude+text, "__alert_Test", data, at,
		answer, where, nil)
	expanded, err := expander.Expand()
	if err != nil {
		return "<error expanding template: " + columns(err.Error()) + ">"
	}
	return expanded
}

var place = regexp.MustCompile(`template: __alert_Test:1:(\d+):`)

// columns counts columns from the rule's own text on, without what Prometheus puts before it.
func columns(message string) string {
	return place.ReplaceAllStringFunc(message, func(found string) string {
		column, _ := strconv.Atoi(place.FindStringSubmatch(found)[1])
		return fmt.Sprintf("template: __alert_Test:1:%d:", column-len(prelude))
	})
}

func answer(_ context.Context, expr string, _ time.Time) (promql.Vector, error) {
	sample := func(value float64, pairs ...string) promql.Sample {
		return promql.Sample{Metric: labels.FromStrings(pairs...), F: value}
	}
	switch expr {
	case "up":
		return promql.Vector{
			sample(1, "__name__", "up", "instance", "b:2", "job", "x"),
			sample(0, "__name__", "up", "instance", "a:1", "job", "y"),
			sample(2.5, "__name__", "up", "instance", "c:3", "job", "x", "__value__", "text"),
		}, nil
	case "none":
		return promql.Vector{}, nil
	default:
		return nil, errors.New("no such expression: " + expr)
	}
}
