package coap

// serve answers a request.
func (j *job) serve() {
	e := j.endpoint
	e.counts.requests.Add(1)
	request, response := &j.message, &j.response
	response.Code = NotFound
	b1, has1, valid1 := request.blockOf(Block1)
	b2, _, valid2 := request.blockOf(Block2)
	if j.key.link.traits.Reliable {
		valid1, valid2 = valid1 || b1.exponent == bert, valid2 || b2.exponent == bert
	}
	switch {
	case j.kind == jobBadOption:
		response.Code = BadOption
	case proxied(request):
		response.Code = ProxyingNotSupported
	case !valid1 || !valid2 || b2.more:
		response.Code = BadRequest
	case j.stream(b1):
	case b2.number > 0 && !b1.more && j.serveKept(b2):
	case has1 && !j.assembled(b1):
	case e.config.Handler != nil:
		if !j.guard(func() bool { e.config.Handler.Serve(e.life, j.peer, request, response); return true }) {
			j.fail()
		}
	}
	if has1 && valid1 && j.kind == jobRequest && response.Code.Class() != 5 {
		b1.more = response.Code == Continue
		if b1.exponent != bert {
			b1.exponent = min(b1.exponent, e.exponent()) // what is to follow shall be no larger
		}
		response.SetUint(Block1, b1.value())
	}
	j.answer(b2)
}

// fail answers a request whose Handler panicked.
func (j *job) fail() {
	j.response.reset()
	j.response.Code = InternalServerError
}

// stream gives a body, or a block of it, to the sink that takes it, if there is one.
func (j *job) stream(b block) bool {
	streamer, ok := j.endpoint.config.Handler.(Streamer)
	if !ok || len(j.message.Payload) == 0 {
		return false
	}
	var sink Sink
	if !j.guard(func() bool { sink = streamer.Sink(j.peer, &j.message); return true }) {
		j.fail()
		return true
	}
	if sink == nil {
		return false
	}
	if b.more && len(j.message.Payload)%b.size() != 0 {
		j.response.Code = BadRequest
		return true
	}
	j.response.Code = Changed
	if b.more {
		j.response.Code = Continue
	}
	if !j.guard(func() bool {
		sink.Block(j.endpoint.life, j.peer, b.offset(), b.more, &j.message, &j.response)
		return true
	}) {
		j.fail()
	}
	return true
}

// assembled adds a block to its body, and says whether that is whole: the request has it then.
func (j *job) assembled(b block) bool {
	if b.number == 0 && !b.more {
		return true
	}
	e := j.endpoint
	body, code := e.bodies.add(j.bodyKey(incoming), b, &j.message, e.isVerified(&j.arrival), e.now())
	if code == Content {
		j.message.Payload = body
		return true
	}
	if code != Continue {
		e.counts.bodies.Add(1)
	}
	if code == EntityTooLarge {
		j.response.SetUint(Size1, uint32(e.limits.Body))
	}
	j.response.Code = code
	return false
}

// serveKept answers with a later block of an answer that is kept for that.
func (j *job) serveKept(b block) bool {
	kept := j.endpoint.bodies.kept(j.bodyKey(outgoing), j.endpoint.now())
	if kept == nil {
		if isSafe(j.message.Code) {
			return false // asking the Handler again does no harm
		}
		j.response.Code = EntityIncomplete
		return true
	}
	j.response.Code, j.response.Payload = kept.Code, kept.Payload
	for _, o := range kept.Options {
		j.response.AddOpaque(o.ID, o.Value)
	}
	return true
}

// answer sends the response: with the acknowledgement if that is not gone yet, by itself otherwise.
func (j *job) answer(b2 block) {
	e, l, response := j.endpoint, j.key.link, &j.response
	response.Token, response.ID = j.message.Token, j.message.ID
	acknowledges := false
	switch {
	case l.traits.Reliable:
		response.Type = Confirmable
	case j.message.Type == NonConfirmable:
		response.Type, response.ID = NonConfirmable, e.nextID(j.hash)
	case j.state.CompareAndSwap(jobPending, jobAnswered):
		response.Type, acknowledges = Acknowledgement, true
	default:
		response.Type = Confirmable
	}
	if !j.fit(b2) {
		return
	}
	if !acknowledges && response.Type == Confirmable && !l.traits.Reliable {
		j.answerSeparately()
		return
	}
	if acknowledges {
		l.history.answered(j.ticket, j.out)
	}
	_ = l.transport.Send(j.peer, j.out)
}

// refuseBusy answers a request that there is no room for.
func (j *job) refuseBusy() {
	if j.kind == jobNotification {
		return
	}
	j.response.Code = ServiceUnavailable
	j.response.SetUint(MaxAge, 5)
	j.answer(block{})
}

// answerSeparately sends the response as a message of its own (RFC 7252 section 5.2.2), until it is acknowledged.
func (j *job) answerSeparately() {
	e, p, response := j.endpoint, j.peer, j.response.Clone()
	sent := e.workers.background(func() {
		_, _ = e.exchange(e.life, p, response, false)
	})
	if !sent {
		e.counts.overload.Add(1)
	}
}
