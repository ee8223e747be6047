package cluster

import (
	protoactor "github.com/asynkron/protoactor-go/actor"

	"github.com/dataworker-go/dataworker/actor/cluster/internal/wire"
	"github.com/dataworker-go/dataworker/bucket"
)

// plain says whether a message is one of package bucket's, or of this one, which crosses the border in
// another form.
func plain(msg any) bool {
	switch msg.(type) {
	case bucket.Fetch, bucket.FetchMany, bucket.FoundMany, bucket.Get, bucket.Set, bucket.Delete, bucket.Refresh, bucket.Keys, bucket.Inspect,
		bucket.Subscribe, bucket.Unsubscribe, bucket.Found, bucket.Missing, bucket.Done, bucket.Failed,
		bucket.Refreshed, bucket.KeyList, bucket.Status, bucket.Changes,
		follow, page, heard, where, position:
		return true
	}
	return false
}

// encodeMessage makes the form in which a plain message crosses the border. The sender is whom a
// subscription is for that names nobody.
func (ts *types) encodeMessage(msg any) (*wire.Message, error) {
	switch msg := msg.(type) {
	case bucket.Fetch:
		key, err := ts.encode(msg.Key)
		return &wire.Message{Body: &wire.Message_Fetch{Fetch: &wire.Fetch{Key: key, NoSave: msg.NoSave}}}, err
	case bucket.FetchMany:
		keys, err := ts.encodeSlice(msg.Keys)
		return &wire.Message{Body: &wire.Message_FetchMany{FetchMany: &wire.FetchMany{Keys: keys}}}, err
	case bucket.Get:
		key, err := ts.encode(msg.Key)
		return &wire.Message{Body: &wire.Message_Get{Get: &wire.Get{Key: key}}}, err
	case bucket.Set:
		return ts.encodeSet(msg)
	case bucket.Delete:
		key, err := ts.encode(msg.Key)
		return &wire.Message{Body: &wire.Message_Delete{Delete: &wire.Delete{Key: key}}}, err
	case bucket.Refresh:
		return &wire.Message{Body: &wire.Message_Refresh{Refresh: &wire.Refresh{}}}, nil
	case bucket.Keys:
		return &wire.Message{Body: &wire.Message_Keys{Keys: &wire.Keys{}}}, nil
	case bucket.Inspect:
		return &wire.Message{Body: &wire.Message_Inspect{Inspect: &wire.Inspect{}}}, nil
	case bucket.Subscribe:
		return &wire.Message{Body: &wire.Message_Subscribe{Subscribe: &wire.Subscribe{To: encodePID(msg.To)}}}, nil
	case bucket.Unsubscribe:
		return &wire.Message{Body: &wire.Message_Unsubscribe{Unsubscribe: &wire.Unsubscribe{To: encodePID(msg.To)}}}, nil
	}
	return ts.encodeAnswer(msg)
}

func (ts *types) encodeSet(msg bucket.Set) (*wire.Message, error) {
	key, err := ts.encode(msg.Key)
	if err != nil {
		return nil, err
	}
	value, err := ts.encode(msg.Value)
	return &wire.Message{Body: &wire.Message_Set{Set: &wire.Set{Key: key, Value: value}}}, err
}

func (ts *types) encodeAnswer(msg any) (*wire.Message, error) {
	switch msg := msg.(type) {
	case bucket.Found:
		value, err := ts.encode(msg.Value)
		return &wire.Message{Body: &wire.Message_Found{Found: &wire.Found{Value: value, Loaded: msg.Loaded}}}, err
	case bucket.Missing:
		return &wire.Message{Body: &wire.Message_Missing{Missing: &wire.Missing{}}}, nil
	case bucket.Done:
		return &wire.Message{Body: &wire.Message_Done{Done: &wire.Done{}}}, nil
	case bucket.Failed:
		return ts.failed(msg.Err), nil
	case bucket.Refreshed:
		return &wire.Message{Body: &wire.Message_Refreshed{Refreshed: &wire.Refreshed{
			Bucket: msg.Bucket, Report: ts.encodeReport(msg.Report),
		}}}, nil
	case bucket.FoundMany:
		return ts.encodeFoundMany(msg)
	case bucket.KeyList:
		keys, err := ts.encodeList(msg.Keys)
		return &wire.Message{Body: &wire.Message_KeyList{KeyList: &wire.KeyList{Keys: keys}}}, err
	case bucket.Status:
		status, err := ts.encodeStatus(msg)
		return &wire.Message{Body: &wire.Message_Status{Status: status}}, err
	case bucket.Changes:
		changes, err := ts.encodeChanges(msg)
		return &wire.Message{Body: &wire.Message_Changes{Changes: changes}}, err
	}
	return ts.encodeFollowing(msg)
}

func (ts *types) failed(err error) *wire.Message {
	return &wire.Message{Body: &wire.Message_Failed{Failed: &wire.Failed{Error: ts.encodeError(err)}}}
}

func (ts *types) encodeAll(values []any) ([]*wire.Value, error) {
	encoded := make([]*wire.Value, len(values))
	for i, value := range values {
		var err error
		if encoded[i], err = ts.encode(value); err != nil {
			return nil, err
		}
	}
	return encoded, nil
}

// decodeMessage makes a plain message of the form in which it crossed the border.
func (ts *types) decodeMessage(msg *wire.Message) (any, error) {
	switch body := msg.GetBody().(type) {
	case *wire.Message_Fetch:
		key, err := ts.decode(body.Fetch.GetKey())
		return bucket.Fetch{Key: key, NoSave: body.Fetch.GetNoSave()}, err
	case *wire.Message_FetchMany:
		keys, err := ts.decodeSlice(body.FetchMany.GetKeys())
		return bucket.FetchMany{Keys: keys}, err
	case *wire.Message_Get:
		key, err := ts.decode(body.Get.GetKey())
		return bucket.Get{Key: key}, err
	case *wire.Message_Set:
		return ts.decodeSet(body.Set)
	case *wire.Message_Delete:
		key, err := ts.decode(body.Delete.GetKey())
		return bucket.Delete{Key: key}, err
	case *wire.Message_Refresh:
		return bucket.Refresh{}, nil
	case *wire.Message_Keys:
		return bucket.Keys{}, nil
	case *wire.Message_Inspect:
		return bucket.Inspect{}, nil
	case *wire.Message_Subscribe:
		return bucket.Subscribe{To: decodePID(body.Subscribe.GetTo())}, nil
	case *wire.Message_Unsubscribe:
		return bucket.Unsubscribe{To: decodePID(body.Unsubscribe.GetTo())}, nil
	}
	return ts.decodeAnswer(msg)
}

func (ts *types) decodeSet(msg *wire.Set) (any, error) {
	key, err := ts.decode(msg.GetKey())
	if err != nil {
		return nil, err
	}
	value, err := ts.decode(msg.GetValue())
	return bucket.Set{Key: key, Value: value}, err
}

func (ts *types) decodeAnswer(msg *wire.Message) (any, error) {
	switch body := msg.GetBody().(type) {
	case *wire.Message_Found:
		value, err := ts.decode(body.Found.GetValue())
		return bucket.Found{Value: value, Loaded: body.Found.GetLoaded()}, err
	case *wire.Message_Missing:
		return bucket.Missing{}, nil
	case *wire.Message_Done:
		return bucket.Done{}, nil
	case *wire.Message_Failed:
		return bucket.Failed{Err: ts.decodeError(body.Failed.GetError())}, nil
	case *wire.Message_Refreshed:
		return bucket.Refreshed{Bucket: body.Refreshed.GetBucket(), Report: ts.decodeReport(body.Refreshed.GetReport())}, nil
	case *wire.Message_FoundMany:
		return ts.decodeFoundMany(body.FoundMany)
	case *wire.Message_KeyList:
		keys, err := ts.decodeList(body.KeyList.GetKeys())
		return bucket.KeyList{Keys: keys}, err
	case *wire.Message_Status:
		return ts.decodeStatus(body.Status)
	case *wire.Message_Changes:
		return ts.decodeChanges(body.Changes)
	}
	return ts.decodeFollowing(msg)
}

func (ts *types) decodeAll(encoded []*wire.Value) ([]any, error) {
	values := make([]any, len(encoded))
	for i, value := range encoded {
		var err error
		if values[i], err = ts.decode(value); err != nil {
			return nil, err
		}
	}
	return values, nil
}

func encodePID(pid *protoactor.PID) *wire.PID {
	if pid == nil {
		return nil
	}
	return &wire.PID{Address: pid.Address, Id: pid.Id}
}

func decodePID(pid *wire.PID) *protoactor.PID {
	if pid == nil {
		return nil
	}
	return protoactor.NewPID(pid.GetAddress(), pid.GetId())
}

func (ts *types) encodeChanges(msg bucket.Changes) (*wire.Changes, error) {
	encoded := &wire.Changes{Bucket: msg.Bucket, Changes: make([]*wire.Change, len(msg.Changes))}
	for i, change := range msg.Changes {
		sides, err := ts.encodeAll([]any{change.Key, change.Old, change.New})
		if err != nil {
			return nil, err
		}
		encoded.Changes[i] = &wire.Change{
			Kind: uint32(change.Kind), Key: sides[0], Old: sides[1], New: sides[2],
			Seq: change.Seq, Generation: change.Generation,
		}
	}
	return encoded, nil
}

func (ts *types) decodeChanges(msg *wire.Changes) (any, error) {
	decoded := bucket.Changes{Bucket: msg.GetBucket(), Changes: make([]bucket.Change[any, any], len(msg.GetChanges()))}
	for i, change := range msg.GetChanges() {
		sides, err := ts.decodeAll([]*wire.Value{change.GetKey(), change.GetOld(), change.GetNew()})
		if err != nil {
			return nil, err
		}
		decoded.Changes[i] = bucket.Change[any, any]{
			Kind: bucket.ChangeKind(change.GetKind()), //nolint:gosec // a number of a member's own, and checked by nobody
			Key:  sides[0], Old: sides[1], New: sides[2],
			Seq: change.GetSeq(), Generation: change.GetGeneration(),
		}
	}
	return decoded, nil
}
