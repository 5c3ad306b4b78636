package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/apiserver/token"
)

func (a *app) tokenCommand() *cobra.Command {
	c := group(&cobra.Command{
		Use: "token", Short: "Make tokens for agents that listen on TCP", Aliases: []string{"tokens"},
		Long:    "An agent on TCP lets in who presents a token. Its token file holds names, roles and hashes; deleting a line revokes a token at once.",
		Example: "  edgehold token create ci --role operator --file /etc/edgehold/tokens > ci.token",
	})
	create := &cobra.Command{
		Use: "create NAME", Short: "Make a token, add its hash to a token file, print its secret once", Args: args(1, 1, "a name for the token"),
		Example: "  edgehold token create grafana --role viewer --file /etc/edgehold/tokens",
	}
	role := create.Flags().String("role", string(api.RoleViewer), "viewer reads, operator also changes")
	file := create.Flags().String("file", "/etc/edgehold/tokens", "token file of the agent")
	create.RegisterFlagCompletionFunc("role", fixed("viewer", "operator"))
	create.RunE = func(_ *cobra.Command, args []string) error {
		made, secret, err := token.New(args[0], api.Role(*role))
		if err != nil {
			return usage(create, "make a token", err.Error())
		}
		if err := token.Append(*file, made); err != nil {
			return err
		}
		_, err = fmt.Fprintln(a.out, secret)
		return err
	}
	c.AddCommand(create)
	return c
}
