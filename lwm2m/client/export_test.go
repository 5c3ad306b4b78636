package client

// Own are the definitions of the objects that the client has itself.
var Own = []*Definition{&securityDefinition, &serverDefinition, &accessDefinition}
