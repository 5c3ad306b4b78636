// Package oma maps LwM2M to SDF and back: the definitions of objects, and the values of devices. It is not a gateway: it asks no device and
// publishes nothing; lwm2m/gateway does, with what this package gives it.
//
// # Definitions
//
// [FromObject] makes an SDF document of an object's definition and [ToObject] the definition of such a document, with nothing lost between.
// What SDF has no quality for stands in qualities of the prefix oma, which the document declares. The mapping is a superset of what the public
// IPSO models at One Data Model use:
//
//	object              sdfObject; its name with _ for white space, commas and slashes; oma:id, oma:urn, oma:version
//	several instances   minItems 0, or 1 if every device has the object
//	resource R, W, RW   sdfProperty with readable, writable, observable
//	resource E          sdfAction; sdfInputData if the description speaks of arguments
//	resource without    sdfData: there, but not offered
//	several of one      type array, and items with type and range
//	mandatory           sdfRequired
//	range, enumeration  minimum, maximum, maxLength, sdfChoice; oma:range is what the file says
//	address             sdfProtocolMap {"lwm2m": {"object": 9, "resource": 7}} (draft-ietf-asdf-sdf-protocol-mapping)
//
// # Values
//
// A [Translator] knows the objects of a registry under the names that they have in SDF, and turns trees of values into instances and back. An
// array stands for the instances of a resource 0, 1, 2 ...; where they are others, a map from their numbers to values does.
package oma
