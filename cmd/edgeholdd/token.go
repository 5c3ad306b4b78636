package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/apiserver/token"
)

func tokenCommand() *cobra.Command {
	var role, file string
	c := &cobra.Command{
		Use: "token NAME", Short: "Make a token for the TCP interface", Args: cobra.ExactArgs(1),
		Long: "token adds the hash of a new token to the token file and prints the token. It is not kept anywhere else:\n" +
			"who loses it makes another. Delete its line to revoke it.",
		Example: "  edgeholdd token ci --role operator --file /etc/edgehold/tokens > ci.token",
		RunE: func(cmd *cobra.Command, args []string) error {
			t, secret, err := token.New(args[0], api.Role(role))
			if err != nil {
				return err
			}
			if err := token.Append(file, t); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), secret)
			return nil
		},
	}
	c.Flags().StringVar(&role, "role", string(api.RoleViewer), "viewer or operator")
	c.Flags().StringVar(&file, "file", "/etc/edgehold/tokens", "token file")
	return c
}
