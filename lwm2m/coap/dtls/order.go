package dtls

// order is a list of associations, the one that was heard of last in front. Its members link to each other.
type order struct {
	newest, oldest *association
	length         int
}

// promote puts an association in front, out of whatever list it was in.
func (o *order) promote(a *association) {
	if o.newest == a {
		return
	}
	if a.order != nil {
		a.order.remove(a)
	}
	a.order, a.older = o, o.newest
	if o.newest != nil {
		o.newest.newer = a
	} else {
		o.oldest = a
	}
	o.newest = a
	o.length++
}

func (o *order) remove(a *association) {
	if a.newer != nil {
		a.newer.older = a.older
	} else {
		o.newest = a.older
	}
	if a.older != nil {
		a.older.newer = a.newer
	} else {
		o.oldest = a.newer
	}
	a.newer, a.older, a.order = nil, nil, nil
	o.length--
}
