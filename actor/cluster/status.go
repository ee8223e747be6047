package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/dataworker-go/dataworker/actor/cluster/internal/wire"
	"github.com/dataworker-go/dataworker/bucket"
)

// What a bucket says of itself: a Status and a Report. Errors and keys are carried as elsewhere, and
// the rest as JSON, so that a field which one of two members does not have is no trouble.

func (ts *types) encodeReport(report bucket.Report) *wire.Report {
	encoded := &wire.Report{
		Generation: report.Generation,
		Loaded:     int64(report.Loaded),
		Unchanged:  int64(report.Unchanged),
		Added:      int64(report.Added),
		Changed:    int64(report.Changed),
		Removed:    int64(report.Removed),
		Failed:     int64(report.Failed),
		Refused:    ts.encodeError(report.Refused),
		Took:       int64(report.Took),
	}
	for _, failure := range report.Failures {
		encoded.Failures = append(encoded.Failures, ts.encodeLoadError(failure))
	}
	for _, slow := range report.Slowest {
		key, text := ts.encodeKey(slow.Key)
		encoded.Slowest = append(encoded.Slowest, &wire.SlowLoad{
			Key: key, KeyText: text, Keys: int64(slow.Keys), Took: int64(slow.Took),
		})
	}
	return encoded
}

func (ts *types) decodeReport(encoded *wire.Report) bucket.Report {
	report := bucket.Report{
		Generation: encoded.GetGeneration(),
		Loaded:     int(encoded.GetLoaded()),
		Unchanged:  int(encoded.GetUnchanged()),
		Added:      int(encoded.GetAdded()),
		Changed:    int(encoded.GetChanged()),
		Removed:    int(encoded.GetRemoved()),
		Failed:     int(encoded.GetFailed()),
		Refused:    ts.decodeError(encoded.GetRefused()),
		Took:       time.Duration(encoded.GetTook()),
	}
	for _, failure := range encoded.GetFailures() {
		report.Failures = append(report.Failures, ts.decodeLoadError(failure))
	}
	for _, slow := range encoded.GetSlowest() {
		report.Slowest = append(report.Slowest, bucket.SlowLoad{
			Key:  ts.decodeKey(slow.GetKey(), slow.GetKeyText()),
			Keys: int(slow.GetKeys()),
			Took: time.Duration(slow.GetTook()),
		})
	}
	return report
}

func (ts *types) encodeStatus(status bucket.Status) (*wire.Status, error) {
	encoded := &wire.Status{
		Name:        status.Name,
		LastRefresh: ts.encodeReport(status.Stats.LastRefresh),
		Trouble:     ts.encodeError(status.Stats.Persist.Trouble),
		LastError:   ts.encodeError(status.Stats.Persist.LastError),
		Damage:      ts.encodeError(status.Stats.Persist.Recovery.Damage),
	}
	for _, failing := range status.Health.Failing {
		key, text := ts.encodeKey(failing.Key)
		encoded.Failing = append(encoded.Failing, &wire.Failing{
			Key: key, KeyText: text,
			Error:    ts.encodeError(failing.Err),
			Failures: int64(failing.Failures),
			LoadedAt: failing.LoadedAt.UnixNano(),
		})
	}
	status.Stats.LastRefresh = bucket.Report{}
	status.Stats.Persist.Trouble, status.Stats.Persist.LastError, status.Stats.Persist.Recovery.Damage = nil, nil, nil
	status.Health.Failing = nil

	var failed [3]error
	encoded.Config, failed[0] = json.Marshal(status.Config)
	encoded.Stats, failed[1] = json.Marshal(status.Stats)
	encoded.Health, failed[2] = json.Marshal(status.Health)
	if err := errors.Join(failed[:]...); err != nil {
		return nil, fmt.Errorf("%w: status: %w", ErrNotCarried, err)
	}
	return encoded, nil
}

func (ts *types) decodeStatus(encoded *wire.Status) (any, error) {
	status := bucket.Status{Name: encoded.GetName()}
	if err := errors.Join(
		json.Unmarshal(encoded.GetConfig(), &status.Config),
		json.Unmarshal(encoded.GetStats(), &status.Stats),
		json.Unmarshal(encoded.GetHealth(), &status.Health),
	); err != nil {
		return nil, fmt.Errorf("%w: status: %w", ErrNotCarried, err)
	}
	status.Stats.LastRefresh = ts.decodeReport(encoded.GetLastRefresh())
	status.Stats.Persist.Trouble = ts.decodeError(encoded.GetTrouble())
	status.Stats.Persist.LastError = ts.decodeError(encoded.GetLastError())
	status.Stats.Persist.Recovery.Damage = ts.decodeError(encoded.GetDamage())
	for _, failing := range encoded.GetFailing() {
		status.Health.Failing = append(status.Health.Failing, bucket.Failing{
			Key:      ts.decodeKey(failing.GetKey(), failing.GetKeyText()),
			Err:      ts.decodeError(failing.GetError()),
			Failures: int(failing.GetFailures()),
			LoadedAt: time.Unix(0, failing.GetLoadedAt()),
		})
	}
	return status, nil
}
