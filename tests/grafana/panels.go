package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// panels are the dashboards' own expressions, each a check: that Grafana can draw what it is answered, if only nothing. Variables
// of the dashboards stand for all of their values.
func panels(directory string) ([]check, error) {
	files, err := filepath.Glob(filepath.Join(directory, "*.json"))
	if err != nil {
		return nil, err
	}
	found := []check{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var dashboard any
		if err := json.Unmarshal(text, &dashboard); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		for _, target := range targets(dashboard) {
			name := fmt.Sprintf("%s can draw %s", filepath.Base(file), target.expr)
			found = append(found, check{name, func(ctx context.Context, source *source, end time.Time) error {
				target.to = end
				frames, err := source.ask(ctx, target)
				// Where exemplars are asked for, Grafana makes none of nothing.
				if err == nil && len(frames) == 0 && !target.exemplar {
					err = fmt.Errorf("not even an empty frame")
				}
				return err
			}})
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no expressions in %s", directory)
	}
	return found, nil
}

// targets are the queries in JSON, of panels and of annotations.
func targets(of any) []query {
	found := []query{}
	switch of := of.(type) {
	case map[string]any:
		if expr, is := of["expr"].(string); is {
			for _, variable := range []string{"$service", "$instance"} {
				expr = strings.ReplaceAll(expr, variable, ".*")
			}
			instant, _ := of["instant"].(bool)
			exemplar, _ := of["exemplar"].(bool)
			format, _ := of["format"].(string)
			found = append(found, query{expr: expr, instant: instant, exemplar: exemplar, format: format, over: time.Hour})
		}
		for _, under := range of {
			found = append(found, targets(under)...)
		}
	case []any:
		for _, under := range of {
			found = append(found, targets(under)...)
		}
	}
	return found
}
