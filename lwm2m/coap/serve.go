package coap

// serve answers a request.
func (j *job) serve() {
	e := j.endpoint
	e.counts.requests.Add(1)
	request, response := &j.message, &j.response
	response.Code = NotFound
	switch {
	case j.kind == jobBadOption:
		response.Code = BadOption
	case proxied(request):
		response.Code = ProxyingNotSupported
	case e.config.Handler != nil:
		if !j.guard(func() bool { e.config.Handler.Serve(e.life, j.peer, request, response); return true }) {
			response.reset()
			response.Code = InternalServerError
		}
	}
	j.answer()
}

// answer sends the response: with the acknowledgement if that is not gone yet, by itself otherwise.
func (j *job) answer() {
	e, l, response := j.endpoint, j.key.link, &j.response
	response.Token, response.ID = j.message.Token, j.message.ID
	switch {
	case l.traits.Reliable:
		response.Type = Confirmable
	case j.message.Type == NonConfirmable:
		response.Type, response.ID = NonConfirmable, e.nextID(j.hash)
	case j.state.CompareAndSwap(jobPending, jobAnswered):
		response.Type = Acknowledgement
	default:
		j.answerSeparately()
		return
	}
	var err error
	if j.out, err = l.appendMessage(j.out[:0], response); err != nil {
		e.log.Error("CoAP answer cannot be written", "peer", j.peer.String(), "error", err)
		return
	}
	if response.Type == Acknowledgement {
		l.history.answered(j.ticket, j.out)
	}
	_ = l.transport.Send(j.peer, j.out)
}

// answerSeparately sends the response as a message of its own (RFC 7252 section 5.2.2), until it is acknowledged.
func (j *job) answerSeparately() {
	e := j.endpoint
	response := j.response.Clone()
	response.Type = Confirmable
	p := j.peer
	sent := e.workers.background(func() {
		_, _ = e.exchange(e.life, p, response, false)
	})
	if !sent {
		e.counts.overload.Add(1)
	}
}
