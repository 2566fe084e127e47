// The agent as a data source of Grafana: its Prometheus data source, as the package that Grafana's server runs, asks a running
// agent what panels, variables, annotations and the settings page ask.
//
//	grafana -agent target/release/sidelight [-dashboards DIRECTORY]
//
// The agent is started with an empty store and a token, and sent twenty minutes of metrics whose rates, sums and quantiles are
// known (telemetry.go). Every check of checks.go compares what Grafana made of an answer with those. Every expression of the
// dashboards is asked as well, as a panel asks it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"
)

func main() {
	binary := flag.String("agent", "", "the agent's program")
	dashboards := flag.String("dashboards", "", "the directory of the dashboards; none when empty")
	flag.Parse()
	failed, err := run(*binary, *dashboards)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	if failed > 0 {
		os.Exit(1)
	}
}

func run(binary, dashboards string) (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	agent, err := startAgent(ctx, binary)
	if err != nil {
		return 0, err
	}
	defer agent.stop()
	end := time.Now().Truncate(step)
	if err := send(ctx, agent.otlp, end); err != nil {
		return 0, err
	}
	source := newSource(agent.admin, token, "POST")
	if err := arrived(ctx, source, end); err != nil {
		return 0, fmt.Errorf("%w\n%s", err, agent.said())
	}
	checks := checks(agent)
	if dashboards != "" {
		panels, err := panels(dashboards)
		if err != nil {
			return 0, err
		}
		checks = append(checks, panels...)
	}
	passed, failed := 0, 0
	for _, check := range checks {
		if err := check.does(ctx, source, end); err != nil {
			failed++
			fmt.Printf("FAIL %s: %v\n", check.name, err)
		} else {
			passed++
		}
	}
	fmt.Printf("grafana: %d passed %d failed\n", passed, failed)
	return failed, nil
}

// arrived waits until the last samples that were sent are answered with.
func arrived(ctx context.Context, source *source, end time.Time) error {
	for {
		frames, err := source.ask(ctx, query{expr: "timestamp(queue_depth)", instant: true, to: end})
		if err == nil && len(frames) == 1 && last(frames[0]) == float64(end.Unix()) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the agent does not answer with the last samples: %d frames, %w", len(frames), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
