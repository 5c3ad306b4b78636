package mqtt

import "testing"

// Who is answered may ask again: a request takes none of its client's room, nor of its thing's, while its answer goes out.
func TestRoomWhenAnAnswerGoesOut(t *testing.T) {
	var q queues
	q.init(ServeConfig{MaxRequests: 1, MaxPerClient: 1, MaxPerThing: 1, MaxBytes: 1})
	again, left := make(chan string, 1), 2
	var work func(*task) (answer func())
	put := func() string {
		return q.put(&task{Request: Request{Topic: Topic{Thing: "sensor-1"}}, client: "me", bytes: 100}, work)
	}
	work = func(*task) func() {
		if why := put(); why == "" {
			t.Error("there is room beside a request that is at work")
		}
		return func() {
			if left--; left > 0 {
				again <- put()
			}
		}
	}
	if why := put(); why != "" {
		t.Fatal(why)
	}
	if why := <-again; why != "" {
		t.Error(why)
	}
	q.close()
	if left != 0 || len(q.lines) != 0 || len(q.byClient) != 0 || q.all != (share{}) {
		t.Errorf("%d not done; left over: %v, %v, %+v", left, q.lines, q.byClient, q.all)
	}
}

// A bus may deliver for a moment after Serve has ended its subscription: nothing is begun then.
func TestNothingIsTakenAfterTheEnd(t *testing.T) {
	var q queues
	config := ServeConfig{}
	config.defaults()
	q.init(config)
	q.close()
	k := &task{Request: Request{Topic: Topic{Thing: "sensor-1"}}}
	if why := q.put(k, func(*task) func() { t.Error("it is done"); return func() {} }); why == "" {
		t.Error("it is taken")
	}
	q.close()
}
